//! Subscribers, all on one thread.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::{io::AsyncWriteExt as _, sync::Notify, task::JoinSet, time::timeout};

use crate::{
    faces::{self, Connected, Face},
    message::Clock,
    server::Server,
    tally::Tally,
};

/// What is read of a socket at once; all subscribers share it.
const READ_BYTES: usize = 256 << 10;

/// Within this every subscription stands.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// After it, what a server does beside its answers is done too.
const SETTLE: Duration = Duration::from_millis(500);

/// The subscribers of a run; they end with this.
pub(crate) struct Crowd {
    shared: Rc<Shared>,
    tasks: JoinSet<()>,
}

struct Shared {
    /// Messages of each subscriber.
    counts: RefCell<Vec<u64>>,
    /// Received by all, frames included.
    bytes: Cell<u64>,
    ready: Cell<usize>,
    /// Microseconds on the way.
    times: RefCell<Vec<u32>>,
    /// Why the run is worth nothing.
    failure: RefCell<Option<anyhow::Error>>,
    changed: Notify,
    buffer: RefCell<Vec<u8>>,
}

impl Crowd {
    /// Subscribes and connects so many clients, and waits until all subscriptions stand.
    pub(crate) async fn gather(
        server: &Server,
        face: Face,
        count: usize,
        clock: Clock,
        is_timed: bool,
    ) -> Result<Self> {
        let shared = Rc::new(Shared {
            counts: RefCell::new(vec![0; count]),
            bytes: Cell::new(0),
            ready: Cell::new(0),
            times: RefCell::default(),
            failure: RefCell::default(),
            changed: Notify::new(),
            buffer: RefCell::new(vec![0; READ_BYTES]),
        });
        let mut crowd = Self { shared, tasks: JoinSet::new() };
        faces::subscribe_all(server, count).await?;
        for number in 0..count {
            let connected = faces::connect(server, face, number).await?;
            let tally = Tally::new(connected.form, clock, is_timed);
            let member = Member { number, tally, shared: Rc::clone(&crowd.shared) };
            crowd.tasks.spawn_local(member.run(connected));
        }
        timeout(READY_LIMIT, async {
            while crowd.shared.ready.get() < count {
                crowd.changed().await;
                crowd.check()?;
            }
            Ok::<_, anyhow::Error>(())
        })
        .await
        .context("not every subscriber gets its subscription")??;
        tokio::time::sleep(SETTLE).await;
        crowd.check()?;
        Ok(crowd)
    }

    /// Waits until a subscriber received something.
    pub(crate) async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// Returns how many messages the slowest subscriber has.
    pub(crate) fn slowest(&self) -> u64 {
        self.shared.counts.borrow().iter().copied().min().unwrap_or_default()
    }

    /// Returns the messages of all.
    pub(crate) fn deliveries(&self) -> u64 {
        self.shared.counts.borrow().iter().sum()
    }

    /// Returns the bytes that all received.
    pub(crate) fn bytes(&self) -> u64 {
        self.shared.bytes.get()
    }

    /// Takes what was measured so far: microseconds on the way.
    pub(crate) fn take_times(&self) -> Vec<u32> {
        self.shared.times.take()
    }

    /// Waits until everybody has so many messages.
    ///
    /// # Errors
    ///
    /// When nothing comes for `limit`, or a subscriber failed.
    pub(crate) async fn until_everybody_has(&self, count: u64, limit: Duration) -> Result<()> {
        while self.slowest() < count {
            self.check()?;
            if timeout(limit, self.changed()).await.is_err() {
                let counts = self.shared.counts.borrow();
                let missing = counts.iter().map(|has| count.saturating_sub(*has));
                let short = missing.clone().filter(|missing| *missing > 0).count();
                bail!("{} messages never came, to {short} subscribers", missing.sum::<u64>());
            }
        }
        self.check()?;
        let counts = self.shared.counts.borrow();
        let most = counts.iter().copied().max().unwrap_or_default();
        ensure!(most == count, "{} messages came more than once", most - count);
        Ok(())
    }

    /// # Errors
    ///
    /// The first failure of a subscriber.
    pub(crate) fn check(&self) -> Result<()> {
        match self.shared.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}

/// One subscriber.
struct Member {
    number: usize,
    tally: Tally,
    shared: Rc<Shared>,
}

impl Member {
    async fn run(mut self, connected: Connected) {
        let Err(failure) = self.receive(connected).await;
        let failure = failure.context(format!("subscriber {}", self.number));
        self.shared.failure.borrow_mut().get_or_insert(failure);
        self.shared.changed.notify_one();
    }

    async fn receive(&mut self, connected: Connected) -> Result<std::convert::Infallible> {
        let Connected { mut stream, mut decoder, begun, .. } = connected;
        let mut answers = Vec::new();
        decoder.feed(&begun, &mut self.tally, &mut answers)?;
        self.tell(begun.len(), false);
        loop {
            stream.readable().await?;
            let was_ready = self.tally.is_ready;
            let bytes = {
                let mut buffer = self.shared.buffer.borrow_mut();
                match stream.try_read(&mut buffer) {
                    Ok(0) => bail!("the server closed the connection"),
                    Ok(bytes) => {
                        decoder.feed(&buffer[..bytes], &mut self.tally, &mut answers)?;
                        bytes
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                    Err(error) => return Err(error.into()),
                }
            };
            self.tell(bytes, was_ready);
            if !answers.is_empty() {
                stream.write_all(&answers).await?;
                answers.clear();
            }
        }
    }

    /// Tells the others how far it is.
    fn tell(&mut self, bytes: usize, was_ready: bool) {
        let shared = &self.shared;
        shared.counts.borrow_mut()[self.number] = self.tally.count;
        shared.bytes.update(|all| all + bytes as u64);
        shared.times.borrow_mut().append(&mut self.tally.times);
        if self.tally.is_ready && !was_ready {
            shared.ready.update(|ready| ready + 1);
        }
        shared.changed.notify_one();
    }
}
