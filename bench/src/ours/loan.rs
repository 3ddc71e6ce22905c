//! Our queue without copies.

use super::space::{open, unique_name};
use crate::comm::loan::Lender;
use antiphon::Space;
use antiphon::space::LoanQueue;

/// A queue as one end has it.
pub struct End {
    queue: LoanQueue,
    _space: Space,
}

pub struct Loans;

/// Messages that may be under way: as many as fit 8 MiB, as with the others.
fn messages(bytes: usize) -> u32 {
    ((8 << 20) / bytes).clamp(2, 1024) as u32
}

fn end((name, bytes): &(String, usize)) -> End {
    let space = open(name);
    let queue = space.loan_queue("q", messages(*bytes), *bytes as u64).expect("a queue");
    End { queue, _space: space }
}

impl Lender for Loans {
    const NAME: &'static str = crate::marks::OURS;
    type Wires = (String, usize);
    type Tx = End;
    type Rx = End;

    fn wires(bytes: usize) -> Self::Wires {
        (unique_name(), bytes)
    }

    fn tx(wires: &Self::Wires) -> End {
        end(wires)
    }

    fn rx(wires: &Self::Wires) -> End {
        end(wires)
    }

    #[inline]
    fn send(tx: &mut End, bytes: usize, fill: impl Fn(&mut [u8])) {
        let mut loan = tx.queue.reserve(bytes).expect("the queue was shut down");
        fill(&mut loan);
        loan.commit().expect("the queue was shut down");
    }

    #[inline]
    fn recv(rx: &mut End, show: impl FnOnce(&[u8])) {
        show(&rx.queue.get().expect("the queue was shut down"));
    }
}
