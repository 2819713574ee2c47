//! A cluster that outlives the command that started it: its lock, its log, how it is started and
//! ended.
//!
//! The process that runs the cluster holds a lock on a file with its id for as long as it lives, so
//! a file that was left behind by a crash says nothing: only a lock that is held does.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, Write as _},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal},
};
use service::program::Stop;

use crate::last_lines;

/// How long a cluster may take to end: prometheus, page, proxies and nodes, a few seconds each.
const DOWN_WAIT: Duration = Duration::from_secs(30);

/// How often the lock is looked at while another process takes or frees it: the kernel tells no one.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How often a lock's file is read until it says the same twice, or whether a lock is free.
const READS_MAX: u32 = 50;

/// Says in the lock's file that the cluster is ready.
const READY: &str = "ready";

/// The files of a detached cluster.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    folder: PathBuf,
}

/// What the lock's file says of a cluster that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Running {
    pid: i32,
    ready: bool,
}

impl Files {
    pub(crate) fn of(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn lock(&self) -> PathBuf {
        self.folder.join("devnet.pid")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("devnet.log")
    }

    /// Returns who runs; none if nobody holds the lock, whatever the file says.
    fn running(&self) -> anyhow::Result<Option<Running>> {
        let path = self.lock();
        let mut before = None;
        for _ in 0..READS_MAX {
            let mut file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => {
                    return Err(error).with_context(|| format!("open {}", path.display()));
                }
            };
            match file.try_lock_shared() {
                Ok(()) => return Ok(None),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(error)
                        .with_context(|| format!("look at the lock of {}", path.display()));
                }
            }
            let mut text = String::new();
            let _bytes = file.read_to_string(&mut text).context("read the lock's file")?;
            let read = Running::parse(&text);
            // One that has just taken the lock may not have written its id yet, and what a crash left
            // stands there.
            if read.is_some() && read == before {
                return Ok(read);
            }
            before = read;
            std::thread::sleep(POLL_INTERVAL);
        }
        bail!("{} is locked and names no process", path.display())
    }
}

impl Running {
    /// Reads what [`Lock`] writes.
    fn parse(text: &str) -> Option<Self> {
        let (pid, state) = text.split_once(' ')?;
        Some(Self { pid: pid.parse().ok()?, ready: state.trim() == READY })
    }
}

/// The lock of a cluster that runs here. Its file stays: who removed it could remove the next one's.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    files: Files,
}

impl Lock {
    /// Leaves the terminal, takes the lock and writes this process' id.
    ///
    /// # Errors
    ///
    /// Returns an error if another cluster holds the lock or the file cannot be written.
    pub(crate) fn take(files: Files) -> anyhow::Result<Self> {
        // Fails only for one that leads its group already, and so is not the terminal's either.
        let _leads = rustix::process::setsid();
        let path = files.lock();
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = opened.with_context(|| format!("open {}", path.display()))?;
        let mut reads = 0..READS_MAX;
        while let Err(error) = file.try_lock() {
            match error {
                // Somebody may only look whether it is held.
                TryLockError::WouldBlock if reads.next().is_some() => {
                    std::thread::sleep(POLL_INTERVAL);
                }
                TryLockError::WouldBlock => bail!("another cluster has just been started"),
                TryLockError::Error(error) => {
                    return Err(error).with_context(|| format!("lock {}", path.display()));
                }
            }
        }
        let mut lock = Self { file, files };
        lock.write("")?;
        Ok(lock)
    }

    fn write(&mut self, state: &str) -> anyhow::Result<()> {
        let written = self.file.set_len(0).and_then(|()| self.file.rewind());
        let text = format!("{} {state}\n", std::process::id());
        let written = written.and_then(|()| self.file.write_all(text.as_bytes()));
        written.with_context(|| format!("write {}", self.files.lock().display()))
    }

    /// Says that the cluster is ready, and lets go of whoever waits for that: what is printed goes
    /// to the log from here on.
    ///
    /// # Errors
    ///
    /// Returns an error if the lock's file or the log cannot be written.
    pub(crate) fn ready(&mut self) -> anyhow::Result<()> {
        self.write(READY)?;
        let log = OpenOptions::new().append(true).open(self.files.log());
        let log = log.with_context(|| format!("open {}", self.files.log().display()))?;
        rustix::stdio::dup2_stdout(&log).context("print to the log")
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Without the lock it says nothing; this is for people who look.
        let _emptied = self.file.set_len(0);
    }
}

/// Starts a cluster in a process of its own with the arguments of this one, prints what that prints,
/// and returns when it is ready.
///
/// # Errors
///
/// Returns an error if one runs already or the new one does not become ready; with the end of its
/// log.
pub(crate) fn start(
    files: &Files,
    arguments: impl Iterator<Item = OsString>,
) -> anyhow::Result<()> {
    if let Some(Running { pid, .. }) = files.running()? {
        bail!(
            "a detached cluster runs already (process {pid}); end it first with `make down` or `devnet down`"
        );
    }
    let made = fs::create_dir_all(&files.folder);
    made.with_context(|| format!("make the folder {}", files.folder.display()))?;
    let folder = fs::canonicalize(&files.folder).context("find the folder of the log")?;
    let log = File::create(files.log());
    let log = log.with_context(|| format!("make the log {}", files.log().display()))?;
    let mut child = Command::new(std::env::current_exe().context("find this program")?)
        .args(arguments.filter(|argument| argument != "--detach"))
        .arg("--attached-to")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .context("start the cluster")?;
    match until_ready(&mut child, files) {
        Ok(None) => Ok(()),
        Ok(Some(status)) => {
            bail!("the cluster ended before it was ready ({status}):\n{}", last_lines(&files.log()))
        }
        Err(error) => {
            end(&child);
            Err(error)
        }
    }
}

/// Prints what the child prints; returns how it ended if it did before it was ready.
fn until_ready(child: &mut Child, files: &Files) -> anyhow::Result<Option<ExitStatus>> {
    let output = child.stdout.take().context("the output of the cluster")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut stop = Stop::watch()?;
        let copied = tokio::task::spawn_blocking(move || copy(output));
        tokio::select! {
            signal = stop.signalled() => {
                end(child);
                bail!("{signal} before the cluster was ready: ended");
            }
            copied = copied => copied.context("read the output of the cluster"),
        }
    })?;
    // Its output ends when it is ready, or when it ends.
    if files.running()?.is_some_and(|running| running.ready) {
        return Ok(None);
    }
    child.wait().map(Some).context("wait for the cluster")
}

fn copy(output: impl io::Read) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        // A reader that is gone is no reason to stop.
        let _gone = writeln!(io::stdout().lock(), "{line}");
    }
}

fn end(child: &Child) {
    if let Some(id) = Pid::from_raw(child.id().cast_signed()) {
        // It may have ended by itself.
        let _ended = kill_process(id, Signal::TERM);
    }
}

/// Ends the detached cluster and waits until its process has ended; returns what to tell.
///
/// # Errors
///
/// Returns an error if it cannot be ended.
pub(crate) fn down(files: &Files) -> anyhow::Result<String> {
    let none = || Ok("No detached cluster runs.".to_owned());
    let Some(Running { pid, .. }) = files.running()? else { return none() };
    let id = Pid::from_raw(pid).context("the lock's file names no process")?;
    let process = match pidfd_open(id, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(Errno::SRCH) => return none(),
        Err(error) => return Err(error).with_context(|| format!("watch process {pid}")),
    };
    // Its number may have become another's before it was opened, but not one that holds the lock.
    if files.running()?.is_none_or(|running| running.pid != pid) {
        return none();
    }
    match pidfd_send_signal(&process, Signal::TERM) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => return Err(error).with_context(|| format!("end process {pid}")),
    }
    let wait = Timespec::try_from(DOWN_WAIT).context("a time to wait")?;
    let ended = loop {
        // It becomes readable when the process has ended.
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&wait)) {
            Err(Errno::INTR) => {}
            ended => break ended.with_context(|| format!("watch process {pid}"))?,
        }
    };
    if ended == 0 {
        bail!("process {pid} does not end; its log is {}", files.log().display());
    }
    Ok(format!("The cluster (process {pid}) has ended."))
}
