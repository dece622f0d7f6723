//! Records a session as the node and the auth servers of Teleport do: numbered by the sender, written by whoever gets the slice.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

/// How a server writes its files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Packing {
    /// `.events`, `.chunks` as the seed document says.
    Plain,
    /// `.gz` with a sync flush behind each slice, as every release does (FORMAT 3).
    Gzip,
}

/// See the module text.
pub struct Recorder {
    root: PathBuf,
    namespace: String,
    sid: String,
    packing: Packing,
    ei: u64,
    ci: u64,
    ms: u64,
    offset: u64,
    pending: Vec<(u64, u64, String, Vec<u8>)>,
    open: BTreeMap<String, Pair>,
    /// What a perfect reader returns.
    pub stream: Vec<u8>,
    /// What a perfect reader returns.
    pub events: String,
}

struct Pair {
    next_ei: u64,
    events: DataFile,
    /// Opened by the first chunk.
    chunks: Option<DataFile>,
}

struct DataFile {
    path: PathBuf,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Recorder {
    pub(super) fn new(root: &Path, namespace: &str, sid: &str) -> Self {
        Recorder {
            root: root.to_owned(),
            namespace: namespace.to_owned(),
            sid: sid.to_owned(),
            packing: Packing::Plain,
            ei: 0,
            ci: 0,
            ms: 0,
            offset: 0,
            pending: Vec::new(),
            open: BTreeMap::new(),
            stream: Vec::new(),
            events: String::new(),
        }
    }

    /// How files that are opened from now on are written.
    pub fn packing(&mut self, packing: Packing) -> &mut Self {
        self.packing = packing;
        self
    }

    /// The PTY showed these bytes: one print event and its chunk.
    pub fn print(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        let line = format!(
            "{{\"time\":\"{}\",\"event\":\"print\",\"bytes\":{},\"ms\":{},\"offset\":{},\"ei\":{},\"ci\":{}}}\n",
            self.time(),
            bytes.len(),
            self.ms,
            self.offset,
            self.ei,
            self.ci
        );
        self.stream.extend_from_slice(bytes);
        self.push(line, bytes.to_vec());
        self.ci += 1;
        self.offset += bytes.len() as u64;
        self
    }

    /// Another event; `fields` is JSON without braces.
    pub fn event(&mut self, event: &str, fields: &str) -> &mut Self {
        let comma = if fields.is_empty() { "" } else { "," };
        let line = format!(
            "{{\"ei\":{},\"event\":\"{event}\",\"sid\":\"{}\",\"time\":\"{}\"{comma}{fields}}}\n",
            self.ei,
            self.sid,
            self.time()
        );
        self.push(line, Vec::new());
        self
    }

    /// `session.start` of this user.
    pub fn start(&mut self, user: &str) -> &mut Self {
        let fields = format!(
            "\"login\":\"root\",\"namespace\":\"{}\",\"server_id\":\"node-1\",\"size\":\"80:25\",\"user\":\"{user}\"",
            self.namespace
        );
        self.event("session.start", &fields)
    }

    /// `session.end`.
    pub fn end(&mut self) -> &mut Self {
        self.event("session.end", "\"user\":\"alice\"")
    }

    /// What has gathered is lost on its way.
    pub fn lose(&mut self) -> &mut Self {
        for (_, _, line, bytes) in std::mem::take(&mut self.pending) {
            let at = self.stream.len() - bytes.len();
            self.stream.get_mut(at..).unwrap().fill(0);
            self.events.truncate(self.events.len() - line.len());
        }
        self
    }

    /// Sends what has gathered to a server as one slice.
    pub fn post(&mut self, server: &str) -> &mut Self {
        self.write(server, false);
        self
    }

    /// Sends what has gathered to two servers: the answer of the first was lost.
    pub fn post_to_both(&mut self, first: &str, second: &str) -> &mut Self {
        self.write(first, true);
        self.write(second, false);
        self
    }

    /// The server writes the end of its files, and opens new ones for what may still come.
    pub fn close(&mut self, server: &str) -> &mut Self {
        if let Some(pair) = self.open.remove(server) {
            pair.events.finish();
            pair.chunks.into_iter().for_each(DataFile::finish);
        }
        self
    }

    /// The server dies: its files stay without an end.
    pub fn kill(&mut self, server: &str) -> &mut Self {
        self.open.remove(server);
        self
    }

    /// Where a server keeps a file of this session; `rest` is what follows the sid.
    pub fn file(&self, server: &str, rest: &str) -> PathBuf {
        self.folder(server).join(format!("{}{rest}", self.sid))
    }

    fn folder(&self, server: &str) -> PathBuf {
        let sessions = self.root.join(server).join("sessions");
        sessions.join(&self.namespace)
    }

    fn time(&self) -> String {
        let (s, ms) = (self.ms / 1000, self.ms % 1000);
        format!(
            "2018-05-01T{:02}:{:02}:{:02}.{ms:03}Z",
            10 + s / 3600,
            s / 60 % 60,
            s % 60
        )
    }

    fn push(&mut self, line: String, bytes: Vec<u8>) {
        self.events.push_str(&line);
        self.pending.push((self.ei, self.offset, line, bytes));
        self.ei += 1;
        self.ms += 17;
    }

    fn write(&mut self, server: &str, keep: bool) {
        let Some(&(first_ei, first_offset, ..)) = self.pending.first() else {
            return;
        };
        let goes_on = |pair: &Pair| pair.next_ei == first_ei;
        if !self.open.get(server).is_some_and(goes_on) {
            self.close(server);
            let pair = Pair {
                next_ei: first_ei,
                events: self.open_file(server, "events", first_ei, (first_ei, 0)),
                chunks: None,
            };
            self.open.insert(server.to_owned(), pair);
        }
        let bytes: Vec<u8> = self.pending.iter().flat_map(|p| p.3.clone()).collect();
        let lines: String = self.pending.iter().map(|p| p.2.as_str()).collect();
        let unopened = self
            .open
            .get(server)
            .is_some_and(|pair| pair.chunks.is_none());
        let opened = (unopened && !bytes.is_empty())
            .then(|| self.open_file(server, "chunks", first_offset, (0, first_offset)));
        let pair = self.open.get_mut(server).unwrap();
        pair.chunks = pair.chunks.take().or(opened);
        // The chunk is there before the print event that says so.
        if let Some(chunks) = pair.chunks.as_mut().filter(|_| !bytes.is_empty()) {
            chunks.write(&bytes);
        }
        pair.events.write(lines.as_bytes());
        pair.next_ei = self.ei;
        if !keep {
            self.pending.clear();
        }
    }

    /// The index line comes before the file (FORMAT 3).
    fn open_file(&self, server: &str, kind: &str, number: u64, numbers: (u64, u64)) -> DataFile {
        let folder = self.folder(server);
        std::fs::create_dir_all(&folder).unwrap();
        let is_gzip = self.packing == Packing::Gzip;
        let name = format!(
            "{}-{number}.{kind}{}",
            self.sid,
            if is_gzip { ".gz" } else { "" }
        );
        let (index, offset) = numbers;
        let line = format!(
            "{{\"file_name\":\"{name}\",\"type\":\"{kind}\",\"index\":{index},\"offset\":{offset}}}\n"
        );
        append(&self.file(server, ".index"), line.as_bytes());
        DataFile {
            path: folder.join(name),
            encoder: is_gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast())),
        }
    }
}

impl DataFile {
    fn write(&mut self, bytes: &[u8]) {
        let Some(encoder) = &mut self.encoder else {
            return append(&self.path, bytes);
        };
        encoder.write_all(bytes).unwrap();
        encoder.flush().unwrap();
        append(&self.path, &std::mem::take(encoder.get_mut()));
    }

    fn finish(self) {
        if let Some(encoder) = self.encoder {
            append(&self.path, &encoder.finish().unwrap());
        }
    }
}

fn append(path: &Path, bytes: &[u8]) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.unwrap().write_all(bytes).unwrap();
}

/// The bytes as one gzip member.
pub fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}
