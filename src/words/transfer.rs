//! Words of what is asked of a store.

words! {
    /// A call of the store.
    StoreOperation {
        /// Writes a small object.
        Put = "put",
        /// Writes a small object unless one is there.
        PutIfAbsent = "put_if_absent",
        /// Begins an upload in parts.
        BeginUpload = "begin_upload",
        /// Sends one part.
        UploadPart = "upload_part",
        /// Makes an upload visible.
        CompleteUpload = "complete_upload",
        /// Throws an upload's parts away.
        AbortUpload = "abort_upload",
        /// Lists uploads that nobody completed or aborted.
        UnfinishedUploads = "unfinished_uploads",
        /// Reads a whole object.
        Get = "get",
        /// Reads a part of an object.
        GetRange = "get_range",
        /// Asks what the store knows of an object.
        Head = "head",
        /// Reads one page of a listing.
        List = "list",
        /// Deletes one object.
        Delete = "delete",
        /// Deletes many objects.
        DeleteMany = "delete_many",
        /// Asks for the store's own time.
        ServerTime = "server_time",
        /// Asks what the store does by itself with objects as they age.
        LifecycleRules = "lifecycle_rules",
    }
}

words! {
    /// Which way an object's bytes went.
    Direction {
        /// To the store.
        Sent = "sent",
        /// From the store.
        Received = "received",
    }
}
