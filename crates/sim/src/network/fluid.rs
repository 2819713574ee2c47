//! The check of the default model: all connections with something to send share the links max-min
//! fairly, each with one frame at a time. Every change moves all shares, so it is for small networks.

use super::{
    Network,
    calls::Task,
    link::Slice,
    model::SEGMENT_BYTES,
    receive::Flight,
    schedule::{Due, LinkId, Nanos},
};
use crate::{
    protocol::{Lane, NodeId, Protocol},
    topology::NodeSpec,
};

/// A frame that is being sent.
pub(super) struct Flow<F> {
    link: LinkId,
    epoch: u32,
    from: NodeId,
    to: NodeId,
    rest_bits: f64,
    /// Bits per nanosecond.
    rate: f64,
    lost_rounds: u64,
    sent_at: Nanos,
    slice: Slice<F>,
}

/// All frames that are being sent, and their shares as of the latest change.
pub(super) struct Fluid<F> {
    flows: Vec<Flow<F>>,
    since: Nanos,
    /// Counts changes: an end foreseen before the latest is void.
    version: u64,
    /// The shares are to be found anew.
    changed: bool,
}

impl<F> Default for Fluid<F> {
    fn default() -> Self {
        Self { flows: Vec::new(), since: 0, version: 0, changed: false }
    }
}

impl<F> Fluid<F> {
    /// Moves everything on to `now`.
    fn advance(&mut self, now: Nanos) {
        let nanos = (now - self.since) as f64;
        self.flows.iter_mut().for_each(|flow| flow.rest_bits -= flow.rate * nanos);
        self.since = now;
    }

    /// Returns when the first flow ends if nothing changes.
    fn next_end(&self) -> Option<Nanos> {
        let ends = self.flows.iter().map(|flow| (flow.rest_bits / flow.rate).max(0.0).ceil());
        ends.min_by(f64::total_cmp).map(|nanos| self.since + nanos as Nanos)
    }
}

impl<P: Protocol> Network<P> {
    /// Begins to send the next frame of a link that sends none.
    pub(super) fn start_flow(&mut self, link: LinkId, slice: Slice<P::Frame>) {
        let now = self.now;
        let lost = self.lose(slice.bytes);
        let entry = self.link(link);
        entry.window.on_sent(now, slice.bytes.into());
        entry.in_turn = true;
        let (epoch, from, to) = (entry.epoch, entry.from, entry.to);
        let wire_bytes = u64::from(slice.bytes) + lost.packets * u64::from(SEGMENT_BYTES);
        self.fluid.advance(now);
        self.fluid.flows.push(Flow {
            link,
            epoch,
            from,
            to,
            rest_bits: wire_bytes as f64 * 8.0,
            rate: 0.0,
            lost_rounds: lost.rounds,
            sent_at: now,
            slice,
        });
        self.change_shares();
    }

    /// Ends the flows of a link that closed.
    pub(super) fn stop_flows(&mut self, link: LinkId) {
        let before = self.fluid.flows.len();
        self.fluid.advance(self.now);
        self.fluid.flows.retain(|flow| flow.link != link);
        if self.fluid.flows.len() < before {
            self.link(link).in_turn = false;
            self.change_shares();
        }
    }

    fn change_shares(&mut self) {
        if !std::mem::replace(&mut self.fluid.changed, true) {
            self.agenda.push_back(Task::Share);
        }
    }

    /// Finds all shares anew and foresees the next end.
    pub(super) fn share(&mut self) {
        self.fluid.changed = false;
        let pairs: Vec<(NodeId, NodeId)> =
            self.fluid.flows.iter().map(|flow| (flow.from, flow.to)).collect();
        let shares = max_min_shares(&self.topology.nodes, &pairs);
        for (flow, share) in self.fluid.flows.iter_mut().zip(shares) {
            flow.rate = share / 1e9;
        }
        self.fluid.version += 1;
        if let Some(at) = self.fluid.next_end() {
            self.schedule.push(at, Due::Flow { version: self.fluid.version });
        }
    }

    /// Takes the flows that have ended to their receivers.
    pub(super) fn on_flow_end(&mut self, version: u64) {
        if version != self.fluid.version {
            return;
        }
        self.fluid.advance(self.now);
        let mut place = 0;
        while place < self.fluid.flows.len() {
            // What is left within a nanosecond is rounding.
            if self.fluid.flows[place].rest_bits > self.fluid.flows[place].rate {
                place += 1;
                continue;
            }
            let flow = self.fluid.flows.remove(place);
            self.end_flow(flow);
        }
        self.change_shares();
    }

    fn end_flow(&mut self, flow: Flow<P::Frame>) {
        let Flow { link, epoch, from, lost_rounds, sent_at, slice, .. } = flow;
        if let Some((lane, outgoing)) = &slice.frame {
            let usage = &mut self.nodes[from as usize].usage;
            match lane {
                Lane::Control => usage.control_sent += u64::from(outgoing.bytes),
                Lane::Data => usage.data_sent += u64::from(outgoing.bytes),
            }
        }
        let latency = self.link(link).latency;
        let at = self.now + latency + self.draw_jitter(latency);
        let flight = self.add_flight(Flight {
            link,
            epoch,
            bytes: slice.bytes,
            wire_bytes: 0,
            last_packet_at: at,
            lost_rounds,
            sent_at,
            frame: slice.frame,
        });
        self.land(flight, at);
        let entry = self.link(link);
        entry.in_turn = false;
        entry.sends_data = false;
        self.agenda.push_back(Task::Pull(link));
        self.take_turn(link);
    }
}

/// Returns the max-min fair share of each flow in bits per second: all grow alike until an up- or
/// downlink is full, whose flows stay; the others go on.
fn max_min_shares(nodes: &[NodeSpec], flows: &[(NodeId, NodeId)]) -> Vec<f64> {
    let up = nodes.iter().map(|node| node.up_bps as f64);
    let mut rest: Vec<f64> = up.chain(nodes.iter().map(|node| node.down_bps as f64)).collect();
    let ends = |&(from, to): &(NodeId, NodeId)| [from as usize, nodes.len() + to as usize];
    let mut open = vec![0_u32; rest.len()];
    flows.iter().flat_map(ends).for_each(|link| open[link] += 1);
    let mut shares = vec![0.0; flows.len()];
    let mut growing: Vec<usize> = (0..flows.len()).collect();
    while !growing.is_empty() {
        let links = (0..rest.len()).filter(|&link| open[link] > 0);
        let full = links.map(|link| (rest[link] / f64::from(open[link]), link));
        let Some((share, full)) = full.min_by(|a, b| a.0.total_cmp(&b.0)) else { break };
        growing.retain(|&flow| {
            let ends = ends(&flows[flow]);
            if !ends.contains(&full) {
                return true;
            }
            shares[flow] = share;
            for link in ends {
                rest[link] = (rest[link] - share).max(0.0);
                open[link] -= 1;
            }
            false
        });
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_of_one_uplink_share_it_and_leave_what_they_cannot_use() {
        let mut nodes = vec![NodeSpec { up_bps: 100, down_bps: 100 }; 4];
        nodes[1].down_bps = 10;
        assert_eq!(max_min_shares(&nodes, &[(0, 1), (0, 2), (0, 3)]), [10.0, 45.0, 45.0]);
    }

    #[test]
    fn a_full_downlink_leaves_its_senders_room_for_others() {
        let nodes = vec![NodeSpec { up_bps: 90, down_bps: 90 }; 5];
        let flows = [(0, 4), (1, 4), (2, 4), (0, 3)];
        assert_eq!(max_min_shares(&nodes, &flows), [30.0, 30.0, 30.0, 60.0]);
    }

    #[test]
    fn no_flow_has_a_share_of_nothing() {
        let nodes = vec![NodeSpec { up_bps: 7, down_bps: 3 }; 6];
        let flows: Vec<(NodeId, NodeId)> =
            (0..6).flat_map(|a| (0..a).map(move |b| (a, b))).collect();
        assert!(max_min_shares(&nodes, &flows).iter().all(|&share| share > 0.0));
        assert!(max_min_shares(&nodes, &[]).is_empty());
    }
}
