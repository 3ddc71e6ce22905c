//! A listener that answers Rust and Python clients with what they said, backwards.
//!
//! ```sh
//! cargo run -p antiphon --features socket --example socket                        # both ends in one program
//! cargo run -p antiphon --features socket --example socket -- tcp:localhost:4711  # a listener, until Ctrl-C
//! ```

use antiphon::socket::{Connection, Options};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::new().key("open sesame");
    let Some(address) = std::env::args().nth(1) else {
        let listener = options.bind(&"tcp:localhost:0".parse()?)?;
        return std::thread::scope(|scope| {
            scope.spawn(|| answer(&listener.accept().expect("this program can accept")));
            let peer = options.connect(listener.address())?;
            peer.send(b"stressed")?;
            println!("{}", String::from_utf8(peer.recv()?)?);
            Ok(())
        });
    };
    let listener = options.bind(&address.parse()?)?;
    println!("listening at {}; from Python:", listener.address());
    println!("  from multiprocessing.connection import Client");
    println!("  c = Client((\"localhost\", 4711), authkey=b\"open sesame\")");
    println!("  c.send_bytes(b\"stressed\"); c.recv_bytes()");
    for peer in listener.incoming() {
        let peer = peer?;
        std::thread::spawn(move || answer(&peer));
    }
    Ok(())
}

fn answer(peer: &Connection) {
    while let Ok(mut message) = peer.recv() {
        message.reverse();
        if peer.send(&message).is_err() {
            return;
        }
    }
}
