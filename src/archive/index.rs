//! Notes where each member begins while the archive is written.

use super::{
    copy::CopyHeader,
    manifest::{Member, Sections, Table},
    split::Content,
};
use crate::postgres::Section;

/// What the archive holds so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// Tables in the order in which they begin in the archive.
    pub tables: Vec<Table>,
    /// The other members.
    pub sections: Sections,
    /// Rows of all tables.
    pub rows: u64,
    /// Length of the whole text, in bytes.
    pub uncompressed_bytes: u64,
}

impl Index {
    /// The members of a table follow; returns its number.
    pub fn table(&mut self, header: CopyHeader) -> usize {
        let CopyHeader { schema, table: name, columns } = header;
        let members = Vec::new();
        self.tables.push(Table { schema, name, columns, rows: 0, bytes: 0, members });
        self.tables.len() - 1
    }

    /// A member was written; one of rows is of the table with this number.
    pub fn member(&mut self, content: &Content, table: Option<usize>, member: Member) {
        self.rows += member.rows;
        self.uncompressed_bytes += member.uncompressed;
        match content {
            Content::Statements(Section::PreData) => self.sections.pre_data.push(member),
            Content::Statements(Section::Data) => self.sections.data.push(member),
            Content::Statements(Section::PostData) => self.sections.post_data.push(member),
            Content::Rows => {
                if let Some(table) = table.and_then(|table| self.tables.get_mut(table)) {
                    table.rows += member.rows;
                    table.bytes += member.uncompressed;
                    table.members.push(member);
                }
            }
        }
    }
}
