//! The queues that are not first in first out, and the one without copies, as lines.

use antiphon::error::{TryGetError, TryPutError};
use antiphon::space::{ByteLifoQueue, LifoQueue, LoanQueue, PriorityQueue};

use super::queue::Line;
use crate::scenes::Item;

/// Queues of which the newest item comes first: `$put` makes what is put of an item, `$got` an item, if it is whole, of
/// what is got.
macro_rules! lifo {
    ($queue:ty, $put:expr, $got:expr) => {
        impl Line for $queue {
            const LIFO: bool = true;

            fn put(&self, items: &[Item]) {
                let make = $put;
                let made: Vec<_> = items.iter().map(make).collect();
                let made: Vec<_> = made.iter().map(Lend::lend).collect();
                match made[..] {
                    [item] => <$queue>::put(self, item).expect("it is open"),
                    _ => self.put_many(&made).expect("it is open"),
                }
            }

            fn try_put(&self, item: Item) -> bool {
                let make = $put;
                match <$queue>::try_put(self, make(&item).lend()) {
                    Ok(()) => true,
                    Err(TryPutError::Full(_)) => false,
                    Err(error) => panic!("{error:?}"),
                }
            }

            fn get(&self, most: usize) -> Vec<Option<Item>> {
                if most == 1 {
                    return vec![$got(<$queue>::get(self).expect("it is open"))];
                }
                self.get_many(most).expect("it is open").into_iter().map($got).collect()
            }

            fn try_get(&self) -> Result<Option<Item>, String> {
                match <$queue>::try_get(self) {
                    Ok(got) => $got(got).map(Some).ok_or("torn".to_owned()),
                    Err(TryGetError::Empty) => Ok(None),
                    Err(error) => Err(error.to_string()),
                }
            }

            fn len(&self) -> usize {
                <$queue>::len(self)
            }
        }
    };
}

/// What is put of what was made.
trait Lend {
    type Lent<'a>: Copy
    where
        Self: 'a;
    fn lend(&self) -> Self::Lent<'_>;
}

impl Lend for Item {
    type Lent<'a> = Self;
    fn lend(&self) -> Self {
        *self
    }
}

impl Lend for (i64, Item) {
    type Lent<'a> = Self;
    fn lend(&self) -> Self {
        *self
    }
}

impl Lend for Vec<u8> {
    type Lent<'a> = &'a [u8];
    fn lend(&self) -> &[u8] {
        self
    }
}

lifo!(LifoQueue<Item>, |item: &Item| *item, |item: Item| item.is_whole().then_some(item));
lifo!(ByteLifoQueue, Item::message, |message: Vec<u8>| Item::of_message(&message));
// Each is more urgent than all that were put before, so that it rises through the heap.
lifo!(
    PriorityQueue<i64, Item>,
    |item: &Item| (urgency(item), *item),
    |(urgent, item): (i64, Item)| (item.is_whole() && urgent == urgency(&item)).then_some(item)
);

fn urgency(item: &Item) -> i64 {
    -(i64::from(item.maker) << 20 | i64::from(item.number))
}

/// One item a block.
pub(super) const BLOCK: u64 = 256;

impl Line for LoanQueue {
    fn put(&self, items: &[Item]) {
        for item in items {
            let message = item.message();
            let mut loan = self.reserve(message.len()).expect("it is open");
            loan.copy_from_slice(&message);
            loan.commit().expect("it is open");
        }
    }

    fn try_put(&self, item: Item) -> bool {
        let message = item.message();
        match self.try_reserve(message.len()) {
            Ok(mut loan) => {
                loan.copy_from_slice(&message);
                loan.commit().is_ok()
            }
            Err(TryPutError::Full(())) => false,
            Err(error) => panic!("{error:?}"),
        }
    }

    fn get(&self, most: usize) -> Vec<Option<Item>> {
        (0..most).map(|_| Item::of_message(&LoanQueue::get(self).expect("it is open"))).collect()
    }

    fn try_get(&self) -> Result<Option<Item>, String> {
        match LoanQueue::try_get(self) {
            Ok(view) => match Item::of_message(&view) {
                Some(item) => Ok(Some(item)),
                None => Err(format!("torn: a message of {} bytes", view.len())),
            },
            Err(TryGetError::Empty) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn len(&self) -> usize {
        LoanQueue::len(self)
    }

    fn scribble(&self) {
        let free = std::iter::from_fn(|| self.try_reserve(BLOCK as usize).ok());
        let mut loans: Vec<_> = free.collect();
        loans.iter_mut().for_each(|loan| loan.fill(0xEE));
    }
}
