//! The kinds of statements that a dump holds.

/// What a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the object that SQL calls so")]
pub enum Kind {
    /// `SET`, or `set_config`: it changes how the statements after it are read.
    Setting,
    /// A command of psql's own.
    Command,
    /// `BEGIN`, `COMMIT`
    Transaction,
    Schema,
    Extension,
    Language,
    Type,
    Routine,
    Operator,
    OperatorClass,
    Collation,
    Conversion,
    Cast,
    Transform,
    TextSearch,
    AccessMethod,
    ForeignDataWrapper,
    Server,
    UserMapping,
    ForeignTable,
    Table,
    View,
    MaterializedView,
    Sequence,
    /// `ALTER SEQUENCE … OWNED BY`
    SequenceOwner,
    /// `ALTER TABLE … SET DEFAULT`
    Default,
    /// `ALTER TABLE … ADD GENERATED`, which makes its sequence.
    Identity,
    /// `ALTER TABLE … ATTACH PARTITION`
    AttachTable,
    /// Any other `ALTER TABLE`.
    AlterTable,
    /// `lo_create`
    LargeObject,
    /// What fills large objects.
    LargeObjectData,
    /// `setval`
    SequenceValue,
    Index,
    /// A primary key, unique or exclusion constraint: one that makes an index.
    Key,
    ForeignKey,
    /// Any other constraint.
    Constraint,
    AlterIndex,
    AttachIndex,
    Statistics,
    Rule,
    Trigger,
    Policy,
    RowSecurity,
    Publication,
    /// `ALTER PUBLICATION … ADD`
    PublicationMember,
    Subscription,
    EventTrigger,
    Refresh,
    Comment,
    Other,
}

impl Kind {
    /// What such an object is called in a message.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Setting | Self::AlterTable => "setting",
            Self::Command => "psql command",
            Self::Transaction => "transaction",
            Self::Schema => "schema",
            Self::Extension => "extension",
            Self::Language => "language",
            Self::Type => "type",
            Self::Routine => "function",
            Self::Operator => "operator",
            Self::OperatorClass => "operator class",
            Self::Collation => "collation",
            Self::Conversion => "conversion",
            Self::Cast => "cast",
            Self::Transform => "transform",
            Self::TextSearch => "text search object",
            Self::AccessMethod => "access method",
            Self::ForeignDataWrapper => "foreign data wrapper",
            Self::Server => "server",
            Self::UserMapping => "user mapping",
            Self::ForeignTable => "foreign table",
            Self::Table => "table",
            Self::View => "view",
            Self::MaterializedView => "materialized view",
            Self::Sequence => "sequence",
            Self::SequenceOwner => "owner of sequence",
            Self::Default => "default of a column",
            Self::Identity => "identity column",
            Self::AttachTable => "partition",
            Self::LargeObject => "large object",
            Self::LargeObjectData => "large objects",
            Self::SequenceValue => "value of sequence",
            Self::Index => "index",
            Self::Key | Self::Constraint => "constraint",
            Self::ForeignKey => "foreign key",
            Self::AlterIndex => "setting of index",
            Self::AttachIndex => "partition of index",
            Self::Statistics => "statistics",
            Self::Rule => "rule",
            Self::Trigger => "trigger",
            Self::Policy => "policy",
            Self::RowSecurity => "row-level security",
            Self::Publication => "publication",
            Self::PublicationMember => "member of publication",
            Self::Subscription => "subscription",
            Self::EventTrigger => "event trigger",
            Self::Refresh => "rows of materialized view",
            Self::Comment => "comment on",
            Self::Other => "statement",
        }
    }
}
