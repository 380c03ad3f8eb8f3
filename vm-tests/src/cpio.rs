//! Archives in the format of initramfs images. Pure; `image` chooses what goes into them.
//!
//! The format is `newc` of cpio(5), described in the kernel's
//! `Documentation/driver-api/early-userspace/buffer-format.rst`.

/// The type bits of a mode (inode(7)).
const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

const END: &str = "TRAILER!!!";

/// An archive under construction. Everything in it belongs to root.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Directories come before what is in them. `path` is relative to the root.
    pub(crate) fn directory(&mut self, path: &str, permissions: u32) {
        self.entry(path, DIRECTORY | permissions, &[]);
    }

    pub(crate) fn file(&mut self, path: &str, permissions: u32, content: &[u8]) {
        self.entry(path, FILE | permissions, content);
    }

    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.entry(path, LINK | 0o777, target.as_bytes());
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry(END, 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let (inode, owner, group, links, time) = (self.entries, 0, 0, 1, 0);
        let (device, of_device) = ([0, 0], [0, 0]);
        let checksum = 0;
        let fields = [
            inode,
            mode,
            owner,
            group,
            links,
            time,
            length(content.len()),
            device[0],
            device[1],
            of_device[0],
            of_device[1],
            // With the zero at its end.
            length(path.len() + 1),
            checksum,
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(path.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    /// Names and contents start on borders of four bytes.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(mode: &str, size: &str, name_size: &str, inode: &str) -> String {
        let zero = "00000000";
        format!(
            "070701{inode}{mode}{zero}{zero}00000001{zero}{size}{zero}{zero}{zero}{zero}{name_size}{zero}"
        )
    }

    #[test]
    fn entries_are_aligned() {
        let mut archive = Archive::default();
        archive.directory("bin", 0o755);
        archive.file("bin/a", 0o755, b"12345");
        archive.link("b", "bin/a");
        let bytes = archive.finish();
        let expected = [
            header("000041ed", "00000000", "00000004", "00000001") + "bin\0\0\0",
            header("000081ed", "00000005", "00000006", "00000002") + "bin/a\0" + "12345\0\0\0",
            header("0000a1ff", "00000005", "00000002", "00000003") + "b\0" + "bin/a\0\0\0",
            header("00000000", "00000000", "0000000b", "00000004") + "TRAILER!!!\0\0\0\0",
        ];
        assert_eq!(String::from_utf8(bytes).unwrap(), expected.concat());
    }

    #[test]
    fn an_empty_archive_has_its_end() {
        let bytes = Archive::default().finish();
        assert_eq!(bytes.len() % 4, 0);
        assert!(bytes.starts_with(b"070701") && bytes.windows(END.len()).any(|part| part == END.as_bytes()));
    }
}
