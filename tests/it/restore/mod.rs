//! A backup comes back: whole, in parts, onto other servers, after faults.

mod damaged;
mod endings;
mod extensions;
mod faults;
mod guards;
mod hidden;
mod hosted;
mod hosted_newer;
mod hostile;
mod jobs;
mod legacy;
mod parts;
mod process;
mod read_only;
mod shown;
mod skipped;
mod stopped_parts;
mod unsaid;
mod whole;

use std::process::Output;

use reliquary::archive::{Manifest, manifest::Table};

use crate::support::{
    postgres::{Run, Server, fixture},
    product::Product,
};

/// A server with the nasty schema.
fn nasty(major: u32, variables: &[&str]) -> Server {
    let server = Server::start(major);
    server.create_database("nasty");
    let mut psql = server.psql_command("nasty");
    for variable in variables {
        psql.args(["-v", variable]);
    }
    psql.arg("-f").arg(fixture("nasty.sql")).output_of(b"");
    server
}

/// Restores into a database of a server, however that ends.
fn restore(product: &Product, server: &Server, database: &str, arguments: &[&str]) -> Output {
    let url = server.url(database);
    product.run(&[&["-q", "restore", "--to", &url], arguments].concat())
}

/// Restores, which must succeed; returns the report.
fn restored(
    product: &Product,
    server: &Server,
    database: &str,
    arguments: &[&str],
) -> serde_json::Value {
    let url = server.url(database);
    let output = product.run(&[&["--json", "restore", "--to", &url], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Restores, which must fail with exit 1; returns what was said.
fn fails(product: &Product, server: &Server, database: &str, arguments: &[&str]) -> String {
    let output = restore(product, server, database, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", said(&output));
    said(&output)
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{:?}\n{}{}", output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A manifest of one table.
fn only(manifest: &Manifest, table: &Table) -> Manifest {
    Manifest { tables: vec![table.clone()], ..manifest.clone() }
}

/// A small database of three tables with everything that usually hangs on them.
fn shop(server: &Server, name: &str) {
    server.create_database(name);
    server.psql(
        name,
        "create type mood as enum ('glad', 'sad');
         create function touch() returns trigger language plpgsql as
           $$ begin new.seen := now(); return new; end $$;
         create table church (id serial primary key, name text unique);
         create table donor (id int primary key, church int not null references church, mood mood,
                             seen timestamptz);
         create index on donor (church);
         create trigger touched before insert or update on donor for each row execute function touch();
         create table donation (id bigint generated always as identity primary key,
                                donor int references donor, cents int check (cents > 0));
         insert into church (name) select 'church ' || i from generate_series(1, 50) i;
         insert into donor select i, 1 + i % 50, 'glad' from generate_series(1, 500) i;
         insert into donation (donor, cents) select 1 + i % 500, i from generate_series(1, 5000) i;",
    );
}
