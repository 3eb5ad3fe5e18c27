//! A hosted target whose platform is newer than the source's.

use super::{
    hosted::{APPLICATION, fresh, project, server},
    said,
};
use crate::support::product::Product;

/// What a platform's newer version would stop a restore with in its middle is
/// known before anything is touched, and named.
#[test]
fn what_a_newer_platform_does_not_take_is_known_before() {
    let source = server();
    project(&source, "project");
    source.psql("project", APPLICATION);
    let product = Product::of(&source, "project");
    product.backup(&[]);
    let target = server();
    for (database, change, lost) in [
        (
            "required",
            "alter table auth.users add tenant int not null",
            &[
                "2 rows of auth.users: the target's table wants a value in tenant, which the archive does not hold (data loss)",
                "2 rows of auth.identities: they point at auth.users, whose rows do not come (data loss)",
                "foreign key profiles_id_fkey of public.profiles: the rows of auth.users that it points at do not come (data loss)",
            ][..],
        ),
        (
            "generated",
            "alter table auth.users drop email;
             alter table auth.users add email text generated always as (id::text) stored",
            &[
                "2 rows of auth.users: the target's table generates email itself (data loss)",
                "foreign key profiles_id_fkey of public.profiles",
            ],
        ),
        (
            "pointing",
            "revoke references on auth.users from postgres_",
            &[
                "foreign key profiles_id_fkey of public.profiles: role postgres_ may not let a foreign key point at auth.users (to mend it: GRANT REFERENCES ON auth.users TO postgres_) (data loss)",
            ],
        ),
    ] {
        let product = fresh(&product, &target, database, change);
        let all = ["restore", "--to", "env:TARGET", "--create-roles"];
        let planned = product.run(&[&all[..], &["--dry-run"]].concat());
        let text = said(&planned);
        assert_eq!(planned.status.code(), Some(1), "{database}: {text}");
        for part in lost {
            assert!(text.contains(part), "{database}: {part}: {text}");
        }
        let text = said(&product.run(&all));
        assert!(!text.contains("stopped") && text.contains("NOT whole"), "{database}: {text}");
        assert_eq!(target.psql(database, "select count(*) from profiles").trim(), "2");
    }
}

/// A table that only the newer platform has stands in nobody's way while it is empty.
#[test]
fn an_empty_table_of_the_platform_s_own_does_not_block_clean() {
    let source = server();
    project(&source, "project");
    source.psql(
        "project",
        "insert into auth.users values ('00000000-0000-0000-0000-000000000001', 'a@b.c', now())",
    );
    let product = Product::of(&source, "project");
    product.backup(&[]);
    let target = server();
    let product = fresh(
        &product,
        &target,
        "fresh",
        "create table auth.passkeys (id int, user_id uuid references auth.users);
         alter table auth.passkeys owner to supabase_admin;
         grant select, insert, update, delete on auth.passkeys to postgres_;",
    );
    let all = ["-q", "restore", "--to", "env:TARGET", "--clean", "--yes"];
    for _ in 0..2 {
        let output = product.run(&all);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
    assert_eq!(target.psql("fresh", "select count(*) from auth.users").trim(), "1");
    // With rows it does: they would point at nothing.
    target.psql("fresh", "insert into auth.passkeys select 1, id from auth.users");
    let output = product.run(&all);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("auth.users cannot be emptied: foreign keys of auth.passkeys"), "{text}");
}
