//! A camera and a model, two processes, and frames that nobody copies: the camera writes each where the model reads it.
//!
//! ```sh
//! cargo run -p antiphon --example camera
//! ```

use std::time::Instant;

use antiphon::space::{LoanQueue, Queue, Shutdown};
use antiphon::{Space, process};

const WIDTH: usize = 1280;
const HEIGHT: usize = 720;
const FRAMES: u64 = 300;

/// What the model says of a frame: its number, and where the brightest spot is.
type Finding = [u64; 3];

/// Looks at every pixel of every frame, in place.
fn model((frames, findings): (LoanQueue, Queue<Finding>)) {
    for frame in frames.iter() {
        let (number, pixels) = frame.split_at(8);
        let number = u64::from_le_bytes(number.try_into().expect("eight bytes"));
        let brightest = (0..pixels.len()).max_by_key(|at| pixels[*at]).expect("a pixel");
        let (x, y) = (brightest % WIDTH, brightest / WIDTH);
        findings.put([number, x as u64, y as u64]).expect("somebody listens");
        // The frame's memory goes back to the camera here.
    }
}

/// Where the spot is in a frame.
fn spot(number: u64) -> (usize, usize) {
    (number as usize * 4 % WIDTH, number as usize * 2 % HEIGHT)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    process::init(); // in a child, this runs `model` and ends there
    let space = Space::open("host:camera-example")?;
    // Four frames: one that the camera fills, one that the model looks at, and two on the way.
    let frames = space.loan_queue("frames", 4, (8 + WIDTH * HEIGHT) as u64)?;
    let findings = space.queue::<Finding>("findings", 16)?;
    let model = process::spawn(model, (frames.clone(), findings.clone()))?;

    let begin = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..FRAMES {
                // Waits while the model is behind. Were this process killed here, nothing would have happened.
                let mut frame = frames.reserve(8 + WIDTH * HEIGHT).expect("it is open");
                frame[..8].copy_from_slice(&number.to_le_bytes());
                frame[8..].fill(number as u8 / 2);
                let (x, y) = spot(number);
                frame[8 + y * WIDTH + x] = 255;
                frame.commit().expect("it is open");
            }
            frames.shutdown(Shutdown::Drain);
        });
        for number in 0..FRAMES {
            let [seen, x, y] = findings.get().expect("the model lives");
            assert_eq!((seen, (x as usize, y as usize)), (number, spot(number)));
        }
    });
    let took = begin.elapsed();
    model.join()?;
    let megabytes = (FRAMES as usize * WIDTH * HEIGHT) as f64 / 1e6;
    println!(
        "{FRAMES} frames, {megabytes:.0} MB, seen by the model in {took:.2?}; none was copied."
    );
    Ok(())
}
