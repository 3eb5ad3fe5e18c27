//! A part of a backup that stopped in the middle, and was run again.

use super::{restored, shop};
use crate::support::{postgres::Server, product::Product};

#[test]
fn a_part_that_stopped_names_what_is_not_whole_and_what_it_lacks_is_said_later() {
    let server = Server::start(15);
    shop(&server, "shop");
    server.psql(
        "shop",
        "alter table donor enable row level security; create policy own on donor using (true);",
    );
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    server.create_database("copy");
    server.psql(
        "copy",
        "create function stop() returns event_trigger language plpgsql as
           $$ begin raise exception 'not today'; end $$;
         create event trigger stop on ddl_command_start when tag in ('CREATE INDEX')
           execute function stop();",
    );
    let one = ["--table", "public.donor", "--jobs", "1"];
    let url = server.url("copy");
    let output = product.run(&[&["--json", "restore", "--to", &url], &one[..]].concat());
    let said = super::said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["not_whole"], serde_json::json!(["public.donor"]), "{document}");
    assert!(said.contains("SQLSTATE P0001") && !said.contains("not today"));
    assert!(said.contains("stopped at stage indexes"), "{said}");
    let made = "made by this run and not whole: public.donor; drop it (DROP TABLE … CASCADE), then run again";
    assert!(said.contains(made) && !said.contains("--clean"), "{said}");

    // Whoever fills it nevertheless is told what is missing.
    server.psql(
        "copy",
        "drop event trigger stop; drop function stop();
                         alter table donor drop constraint if exists donor_pkey;",
    );
    let report = restored(&product, &server, "copy", &[&one[..], &["--clean", "--yes"]].concat());
    let left_out = report["left_out"].to_string();
    for part in [
        "constraint donor_pkey of public.donor",
        "index public.donor_church_idx of public.donor",
        "foreign key donor_church_fkey of public.donor",
        "trigger touched of public.donor",
        "policy own of public.donor",
        "the target's table has none of this name",
    ] {
        assert!(left_out.contains(part), "{part}: {left_out}");
    }

    // As it was told to.
    server.psql("copy", "drop table donor");
    let report = restored(&product, &server, "copy", &one);
    assert!(!report["left_out"].to_string().contains("donor_pkey"), "{report}");
    let report = restored(&product, &server, "copy", &[&one[..], &["--clean", "--yes"]].concat());
    let left_out = report["left_out"].as_array().unwrap();
    assert_eq!(left_out.len(), 1, "{report}");
    assert!(report["left_out"].to_string().contains("donor_church_fkey"), "{report}");
}
