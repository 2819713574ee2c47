//! Which protocol a stream speaks, overheard from how its ends agree on it (multistream-select 1.0:
//! lines, each after its length; the first names the way of agreeing; the dialer then proposes, the
//! listener repeats the proposal or says `na`).

/// The longest line: what the library that reads them allows for a name, and more.
const LINE_BYTES_MAX: usize = 256;

/// What a listener says to a proposal that it does not take.
const REFUSAL: &[u8] = b"na\n";

/// Lines at the beginning of one direction of a stream.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// The first line has passed.
    began: bool,
    /// Something came that is no line: nothing more is looked at.
    broken: bool,
}

impl Lines {
    /// Takes bytes up to the end of the next line; returns that line and how many were taken.
    fn next(&mut self, data: &[u8]) -> (Option<Vec<u8>>, usize) {
        for (position, &byte) in data.iter().enumerate() {
            self.buffer.push(byte);
            if let Some((length, head)) = length(&self.buffer) {
                if length > LINE_BYTES_MAX {
                    self.broken = true;
                } else if self.buffer.len() == head + length {
                    let line = self.buffer.split_off(head);
                    self.buffer.clear();
                    return (Some(line), position + 1);
                }
            } else if self.buffer.len() > 2 {
                self.broken = true;
            }
            if self.broken {
                return (None, data.len());
            }
        }
        (None, data.len())
    }

    /// Takes bytes up to the end of the next line that is not the first.
    fn after_first(&mut self, mut data: &[u8]) -> (Option<Vec<u8>>, usize) {
        let mut taken = 0;
        while !self.broken && !data.is_empty() {
            let (line, used) = self.next(data);
            taken += used;
            data = &data[used..];
            if line.is_some() && std::mem::replace(&mut self.began, true) {
                return (line, taken);
            }
        }
        (None, taken)
    }
}

/// Returns the length that `bytes` begins with, of at most two bytes, and how many those are.
fn length(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes {
        [low, ..] if low < 0x80 => Some((usize::from(low), 1)),
        [low, high, ..] if high < 0x80 => {
            Some((usize::from(low & 0x7f) | usize::from(high) << 7, 2))
        }
        _ => None,
    }
}

/// Overhears one stream.
#[derive(Debug)]
pub(super) enum Naming {
    /// We listen: what we answer decides.
    Listener(Lines),
    /// We dial: what we proposed stands when the listener repeats it, or when the protocol's own
    /// bytes follow it: a dialer with one proposal need not wait for the answer.
    Dialer { written: Lines, read: Lines, proposal: Option<String> },
    /// It is known, or cannot be.
    Done(Option<String>),
}

impl Naming {
    pub(super) fn dialer() -> Self {
        Self::Dialer { written: Lines::default(), read: Lines::default(), proposal: None }
    }

    /// The stream gave these bytes.
    pub(super) fn read(&mut self, mut data: &[u8]) {
        let Self::Dialer { read, proposal, .. } = self else { return };
        while !data.is_empty() {
            let (line, used) = read.after_first(data);
            data = &data[used..];
            match line {
                Some(line) if line == REFUSAL => *proposal = None,
                Some(_) => {
                    let agreed = proposal.take();
                    *self = Self::Done(agreed);
                    return;
                }
                None => {}
            }
        }
    }

    /// The stream was given these bytes.
    pub(super) fn written(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            match self {
                Self::Listener(lines) => {
                    let (line, used) = lines.after_first(data);
                    data = &data[used..];
                    if let Some(line) = line.filter(|line| line != REFUSAL) {
                        *self = Self::Done(name(&line));
                    }
                }
                Self::Dialer { proposal: Some(proposal), .. } => {
                    *self = Self::Done(Some(std::mem::take(proposal)));
                }
                Self::Dialer { written, proposal: proposal @ None, .. } => {
                    let (line, used) = written.after_first(data);
                    data = &data[used..];
                    *proposal = line.as_deref().and_then(name);
                }
                Self::Done(_) => return,
            }
        }
    }

    /// Returns the name, once, when it is agreed.
    pub(super) fn agreed(&mut self) -> Option<String> {
        match self {
            Self::Done(name) => name.take(),
            Self::Listener(_) | Self::Dialer { .. } => None,
        }
    }
}

fn name(line: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    text.starts_with('/').then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&str]) -> Vec<u8> {
        let line = |line: &&str| {
            let mut bytes = vec![line.len() as u8 + 1];
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
            bytes
        };
        lines.iter().flat_map(line).collect()
    }

    #[test]
    fn a_listener_speaks_what_it_repeats_however_the_bytes_are_cut() {
        let answer = lines(&["/multistream/1.0.0", "na", "/b/1"]);
        for cut in 0..answer.len() {
            let mut naming = Naming::Listener(Lines::default());
            naming.written(&answer[..cut]);
            naming.written(&answer[cut..]);
            naming.written(b"data");
            assert_eq!(naming.agreed().as_deref(), Some("/b/1"), "cut at {cut}");
            assert_eq!(naming.agreed(), None);
        }
    }

    #[test]
    fn a_dialer_speaks_the_last_proposal_that_is_not_refused() {
        let mut naming = Naming::dialer();
        naming.written(&lines(&["/multistream/1.0.0", "/a/2"]));
        assert_eq!(naming.agreed(), None);
        naming.read(&lines(&["/multistream/1.0.0", "na"]));
        naming.written(&lines(&["/a/1"]));
        naming.read(&lines(&["/a/1"]));
        assert_eq!(naming.agreed().as_deref(), Some("/a/1"));
    }

    #[test]
    fn a_dialer_that_does_not_wait_for_the_answer_speaks_what_it_proposed() {
        let mut naming = Naming::dialer();
        naming.written(&[lines(&["/multistream/1.0.0", "/a/1"]), vec![0; 999]].concat());
        assert_eq!(naming.agreed().as_deref(), Some("/a/1"));
    }

    #[test]
    fn what_is_no_negotiation_names_nothing() {
        let mut naming = Naming::Listener(Lines::default());
        naming.written(&[0xff; 1000]);
        assert_eq!(naming.agreed(), None);
        assert_eq!(name(b"no slash\n"), None);
        assert_eq!(name(b"/\xff\n"), None);
    }
}
