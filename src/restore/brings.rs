//! What well-known extensions bring, by name, where an archive does not say whose it is.
//!
//! Of an extension an archive knows its name and its schema, in which others may be
//! too. Here stands only what nothing else of the same schema is likely to be called,
//! and no extension that itself stands on another.

/// Types, functions and operator classes of extensions.
const BROUGHT: [(&str, &[&str]); 17] = [
    ("citext", &["citext"]),
    ("fuzzystrmatch", &["levenshtein", "soundex", "metaphone", "dmetaphone", "daitch_mokotoff"]),
    ("hstore", &["hstore", "gin_hstore_ops", "gist_hstore_ops"]),
    ("insert_username", &["insert_username"]),
    ("intarray", &["gin__int_ops", "gist__int_ops", "gist__intbig_ops", "query_int"]),
    ("isn", &["ean13", "isbn", "isbn13", "ismn", "ismn13", "issn", "issn13", "upc"]),
    ("lo", &["lo_manage"]),
    ("ltree", &["ltree", "lquery", "ltxtquery", "gist_ltree_ops", "gist__ltree_ops"]),
    ("moddatetime", &["moddatetime"]),
    ("pg_trgm", &["gin_trgm_ops", "gist_trgm_ops", "similarity", "word_similarity", "show_trgm"]),
    (
        "pgcrypto",
        &[
            "gen_random_uuid",
            "gen_random_bytes",
            "gen_salt",
            "crypt",
            "digest",
            "hmac",
            "pgp_sym_encrypt",
            "pgp_sym_decrypt",
        ],
    ),
    ("postgis", &["geometry", "geography", "box2d", "box3d"]),
    ("refint", &["check_primary_key", "check_foreign_key"]),
    ("tcn", &["triggered_change_notification"]),
    ("unaccent", &["unaccent"]),
    (
        "uuid-ossp",
        &["uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v3", "uuid_generate_v4"],
    ),
    (
        "vector",
        &[
            "vector",
            "halfvec",
            "sparsevec",
            "vector_l2_ops",
            "vector_ip_ops",
            "vector_cosine_ops",
            "halfvec_l2_ops",
            "halfvec_cosine_ops",
        ],
    ),
];

/// Whose a way to store tables or indexes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// PostgreSQL's own; these bring operator classes for it, and an index may have one
    /// without saying so.
    Own(&'static [&'static str]),
    /// One of these extensions brings it.
    Of(&'static [&'static str]),
}

/// Ways to store tables and indexes.
const METHODS: [(&str, Method); 15] = [
    ("heap", Method::Own(&[])),
    ("btree", Method::Own(&[])),
    ("hash", Method::Own(&[])),
    ("spgist", Method::Own(&[])),
    ("brin", Method::Own(&[])),
    ("gist", Method::Own(&["btree_gist", "intarray"])),
    ("gin", Method::Own(&["btree_gin"])),
    ("bloom", Method::Of(&["bloom"])),
    ("hnsw", Method::Of(&["vector"])),
    ("ivfflat", Method::Of(&["vector"])),
    ("diskann", Method::Of(&["vectorscale"])),
    ("rum", Method::Of(&["rum"])),
    ("bm25", Method::Of(&["pg_search"])),
    ("pgroonga", Method::Of(&["pgroonga"])),
    ("columnar", Method::Of(&["citus_columnar", "citus", "columnar"])),
];

/// The extension that something of this name is of.
pub(super) fn maker(name: &str) -> Option<&'static str> {
    BROUGHT.iter().find(|(_, brought)| brought.contains(&name)).map(|(maker, _)| *maker)
}

/// Whose an access method is; `None` for one that is not known here.
pub(super) fn for_method(method: &str) -> Option<Method> {
    METHODS.iter().find(|(known, _)| *known == method).map(|(_, whose)| *whose)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_of_two_extensions() {
        let all: Vec<&str> =
            BROUGHT.iter().flat_map(|(_, brought)| brought.iter().copied()).collect();
        for name in &all {
            assert_eq!(all.iter().filter(|other| other == &name).count(), 1, "{name}");
        }
        assert_eq!(maker("gin_trgm_ops"), Some("pg_trgm"));
        assert_eq!(maker("gift"), None);
    }
}
