//! Tickets of the proxy's own: nodes that check tickets (`SIDECAR_JWKS`) take its commands too.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use access::{Ticket, TicketSigner};
use tokio::time::Instant;

/// How long a ticket holds, and how old it may be before the next is made.
const LIFETIME: Duration = Duration::from_secs(3600);
const AGE_MAX: Duration = Duration::from_secs(1800);

/// Makes them.
#[derive(Debug)]
pub(crate) struct OwnTickets {
    signer: Arc<TicketSigner>,
    /// The name of this process.
    holder: String,
    last: Mutex<Option<(Instant, String)>>,
}

impl OwnTickets {
    pub(crate) fn new(signer: Arc<TicketSigner>, holder: String) -> Self {
        Self { signer, holder, last: Mutex::new(None) }
    }

    /// Returns a ticket that holds for a while.
    pub(crate) fn current(&self) -> String {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, ticket)) = &*last
            && made.elapsed() < AGE_MAX
        {
            return ticket.clone();
        }
        let capabilities = ["publish".to_owned(), "subscribe".to_owned()];
        let ticket = Ticket {
            session_id: &self.holder,
            client_id: &self.holder,
            node: "p2pnode",
            topics: &[],
            capabilities: &capabilities,
        };
        // Without topics it is short enough.
        let signed = self.signer.sign(&ticket, SystemTime::now(), LIFETIME).unwrap_or_default();
        *last = Some((Instant::now(), signed.clone()));
        signed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_ticket_is_used_for_half_its_life() {
        let signer = Arc::new(TicketSigner::generate());
        let tickets = OwnTickets::new(signer, "proxy-1".to_owned());
        let first = tickets.current();
        assert_eq!(first.matches('.').count(), 2, "a JWT: {first}");
        let made = || tickets.last.lock().expect("sound").as_ref().map(|(made, _)| *made);
        let begin = made();
        tokio::time::advance(AGE_MAX / 2).await;
        assert_eq!(tickets.current(), first);
        assert_eq!(made(), begin);
        tokio::time::advance(AGE_MAX).await;
        tickets.current();
        assert!(made() > begin, "a new one");
    }
}
