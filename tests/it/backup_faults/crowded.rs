//! A source that has no room for several `pg_dump` at once.

use crate::support::{
    postgres::{Server, ServerOptions, assert_same_dump},
    product::Product,
};

#[test]
fn where_the_source_has_three_connections_one_pg_dump_runs_at_a_time() {
    let server = Server::start_with(15, ServerOptions { tcp: true, ..ServerOptions::default() });
    server.psql("postgres", "create role keeper login password 'hunter2'");
    server.psql("postgres", "create database app owner keeper");
    server.psql(
        "app",
        "set role keeper; create table church (id int primary key, name text not null);
         create table gift (id int primary key, church int references church);
         create index on gift (church); create view churches as select name from church;
         insert into church select n, 'church ' || n from generate_series(1, 1000) n;
         insert into gift select n, n from generate_series(1, 1000) n;
         reset role; alter role keeper connection limit 3",
    );
    let product =
        Product::of(&server, "app").set("DIRECT_URL", server.tcp_url("app", "keeper", "hunter2"));
    let backup = product.backup(&[]);
    server.create_database("copy");
    backup.restore_with_stock_tools(&server, "copy");
    assert_same_dump(&server.dump_plain("app"), &server.dump_plain("copy"));
}
