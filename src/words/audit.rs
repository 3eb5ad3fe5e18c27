//! Words of the hardening audit and of reviews.

words! {
    /// What a check of the audit came to.
    CheckResult {
        /// It is as it should be.
        Pass = "pass",
        /// It works, and could be safer.
        Warn = "warn",
        /// It is not as it must be.
        Fail = "fail",
        /// It could not be told, for want of a right or of an answer.
        Unknown = "unknown",
    }
}

words! {
    /// What the audit looks at, in the order of its report.
    Check {
        /// The bucket is where the settings say.
        Region = "region",
        /// Requests travel under TLS.
        StoreTransport = "store_transport",
        /// What is stored is encrypted, also where nobody asks for it.
        Encryption = "encryption",
        /// The bucket cannot become public.
        PublicAccess = "public_access",
        /// No bucket of the account can become public.
        AccountPublicAccess = "account_public_access",
        /// The bucket's policy lets nobody else in.
        PolicyGrants = "policy_grants",
        /// The bucket's policy refuses requests without TLS.
        PolicyTls = "policy_tls",
        /// No access control list lets anybody in.
        AccessLists = "access_lists",
        /// What is overwritten or deleted can be had back.
        Versioning = "versioning",
        /// Backups cannot be deleted before their time, and can be after it.
        ObjectLock = "object_lock",
        /// Who reads and writes is written down.
        AccessLogging = "access_logging",
        /// Parts of uploads that nobody finished go away by themselves.
        UnfinishedUploads = "unfinished_uploads",
        /// No lifecycle rule contradicts retention.
        Lifecycle = "lifecycle",
        /// A folder as a store: who may read and write it.
        StoreFolder = "store_folder",
        /// A folder as a store: it is not on the database's own disk.
        StoreDisk = "store_disk",
        /// The credentials are those of a user or a role, not of the whole account.
        Identity = "identity",
        /// The credentials can write, and read what they wrote.
        Write = "write",
        /// Whether the credentials can delete.
        Delete = "delete",
        /// The credentials cannot change the bucket's policy.
        PolicyChange = "policy_change",
        /// A write that must not replace anything does not.
        ConditionalWrites = "conditional_writes",
        /// Bytes that arrive damaged are refused.
        Checksums = "checksums",
        /// This machine's clock agrees with the store's.
        ClockStore = "clock_store",
        /// This machine's clock agrees with the database server's.
        ClockSource = "clock_source",
        /// The source can be reached and held.
        Source = "source",
        /// The server's major version is still mended by its makers.
        ServerVersion = "server_version",
        /// Client programs of the server's own major are here.
        ClientPrograms = "client_programs",
        /// The role may no more than it needs.
        RoleRights = "role_rights",
        /// The role may read every table and sequence.
        TablesReadable = "tables_readable",
        /// Row-level security hides nothing from the role.
        RowSecurity = "row_security",
        /// The role may read every large object.
        LargeObjects = "large_objects",
        /// What a dump would leave out.
        LeftOut = "left_out",
        /// The connection to the source is under TLS, and the server is verified.
        SourceTls = "source_tls",
        /// Only its owner can read a file that holds a secret.
        SecretFiles = "secret_files",
    }
}

words! {
    /// What people look at again and again, and record that they did.
    Review {
        /// The month's drill: its record, how long the restore took, what it skipped.
        Drill = "drill",
        /// The disaster-recovery runbook.
        Runbook = "runbook",
    }
}
