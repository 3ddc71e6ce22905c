//! A service with two workers in processes of their own, one of which is killed on the way.
//!
//! `cargo run -p antiphon --example service`

use std::error::Error;
use std::thread::sleep;
use std::time::Duration;

use antiphon::space::Service;
use antiphon::{Space, process};

type Primes = Service<u64, Vec<u64>>;

/// Answers until the service is shut down.
fn work(primes: Primes) {
    primes.serve(|n| {
        sleep(Duration::from_millis(20)); // hard work
        (2..=n).filter(|p| n % p == 0 && (2..*p).all(|d| p % d != 0)).collect()
    });
}

fn main() -> Result<(), Box<dyn Error>> {
    process::init();

    let primes: Primes = Space::anonymous()?.service("primes", 8, 1 << 10)?;
    let victim = process::spawn(work, primes.clone())?;
    let worker = process::spawn(work, primes.clone())?;

    // A request whose worker dies is given to another.
    let primes = primes.retrying();
    let calls: Vec<_> = (90..100)
        .map(|n| {
            let primes = primes.clone();
            std::thread::spawn(move || (n, primes.call(&n)))
        })
        .collect();
    sleep(Duration::from_millis(50));
    victim.kill()?;
    for call in calls {
        let (n, factors) = call.join().expect("no panic");
        println!("{n} is made of {:?}", factors?);
    }

    primes.as_bytes().shutdown();
    worker.join()?;
    Ok(())
}
