//! Rows that were taken out of an archive whose hashes were made to fit again.

use std::io::Read as _;

use flate2::{Crc, read::GzDecoder, write::DeflateEncoder};
use reliquary::archive::manifest::Member;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::support::product::Backup;

/// Takes rows out of a table and makes everything else of the backup fit: the
/// member, all offsets, lengths, sizes and hashes. Only the manifest's rows still
/// say what the snapshot held.
fn take_out(backup: &Backup, table: &str, rows: usize) {
    let mut manifest = backup.manifest.clone();
    let mut archive = fs::read(&backup.archive).unwrap();
    let table = manifest.tables.iter().position(|found| found.name == table).unwrap();
    let member = *manifest.tables[table].members.last().unwrap();
    let at = |offset: u64| usize::try_from(offset).unwrap();
    let range = at(member.offset)..at(member.offset + member.length);
    let old = archive[range.clone()].to_vec();
    let mut text = Vec::new();
    GzDecoder::new(&old[..]).read_to_end(&mut text).unwrap();
    let mut lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    let end = lines.iter().rposition(|line| *line == b"\\.\n").unwrap();
    lines.drain(end - rows..end);
    let text = lines.concat();
    // As Reliquary heads its members, byte for byte.
    let mut new = old[..10].to_vec();
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&text).unwrap();
    new.extend(packed.finish().unwrap());
    let mut crc = Crc::new();
    crc.update(&text);
    new.extend(crc.sum().to_le_bytes());
    new.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
    let (before, after) = (old.len() as u64, new.len() as u64);
    let less = member.uncompressed - text.len() as u64;
    archive.splice(range, new.iter().copied());

    let sections = &mut manifest.sections;
    let others = [&mut sections.pre_data, &mut sections.data, &mut sections.post_data];
    let members = manifest.tables.iter_mut().map(|table| &mut table.members).chain(others);
    for other in members.flatten() {
        let Member { offset, length, uncompressed, .. } = other;
        if *offset == member.offset {
            *length = after;
            *uncompressed = text.len() as u64;
        } else if *offset > member.offset {
            *offset = *offset + after - before;
        }
    }
    manifest.tables[table].bytes -= less;
    manifest.archive.uncompressed_bytes -= less;
    manifest.archive.bytes = archive.len() as u64;
    manifest.archive.sha256 =
        Sha256::digest(&archive).iter().map(|byte| format!("{byte:02x}")).collect();
    let name = |end: &str| backup.dir().join(format!("{}{end}", backup.id));
    fs::write(&backup.archive, archive).unwrap();
    let checksum = format!("{}  {}\n", manifest.archive.sha256, backup.file());
    fs::write(name(".sql.gz.sha256"), checksum).unwrap();
    fs::write(name(".manifest.json"), serde_json::to_vec_pretty(&manifest).unwrap()).unwrap();
}

#[test]
fn rows_taken_out_of_an_archive_are_told_by_table_and_number_although_all_hashes_fit() {
    let (_server, room, product, backup) = backed_up();
    take_out(&backup, "gift", 7);
    let record = product.drill(3, &[]);
    assert_eq!(record["verdict"], "failed", "{record:#}");
    assert_eq!(record["failure"]["reason"], "rows_differ", "{record:#}");
    let message = record["failure"]["message"].as_str().unwrap();
    assert_eq!(message, "public.gift has 4993 rows and not 5000 (-7)");
    let expected = serde_json::json!([{"table": "public.gift", "expected": 5000, "found": 4993}]);
    assert_eq!(record["different"], expected);
    assert!(is_empty(room.path()));
    let id = record["id"].as_str().unwrap();
    let page = product.store_dir().join(format!("database/drills/{id}.md"));
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("public.gift: the backup says 5000, 4993 were found"), "{page}");
    let list: Value = serde_json::from_str(&product.succeed(&["--json", "list"])).unwrap();
    assert_eq!(list["backups"][0]["state"], "damaged", "it counts as none");
}

#[test]
fn a_table_emptied_in_the_archive_is_told_as_well() {
    let (_server, _room, product, backup) = backed_up();
    take_out(&backup, "church", 50);
    let record = product.drill(3, &[]);
    assert_eq!(record["failure"]["reason"], "rows_differ", "{record:#}");
    assert_eq!(record["different"][0]["found"], 0);
}
