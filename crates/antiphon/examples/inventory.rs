//! Many processes keep one inventory, without a server; some are killed in the midst of a change.
//!
//! `cargo run --example inventory -p antiphon`

use std::error::Error;

use antiphon::space::{Dict, List};
use antiphon::{Space, process};
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Article {
    pieces: u64,
    price: f64,
}

/// Runs in a child process: takes pieces in, one by one, and notes it.
fn receive((stock, log, who): (Dict<String, Article>, List<String>, u32)) {
    for n in 0..100 {
        let name = if n % 2 == 0 { "tea" } else { "rice" }.to_owned();
        let one_more = |article: Option<Article>| {
            if who == 3 && n == 50 {
                // As kill -9 would: nothing has changed, and nobody waits for us.
                std::process::abort();
            }
            let article = article.unwrap_or_default();
            Some(Article { pieces: article.pieces + 1, ..article })
        };
        stock.update(&name, one_more).expect("room");
    }
    log.push(&format!("{who} is done")).expect("room");
}

fn main() -> Result<(), Box<dyn Error>> {
    process::init();
    let space = Space::anonymous()?;
    let stock = space.dict::<String, Article>("stock", 1 << 16)?;
    let log = space.list::<String>("log", 1 << 16)?;
    stock.insert(&"tea".to_owned(), &Article { pieces: 0, price: 2.5 })?;

    let children = (0..4)
        .map(|who| process::spawn(receive, (stock.clone(), log.clone(), who)))
        .collect::<Result<Vec<_>, _>>()?;
    for child in children {
        if let Err(error) = child.join() {
            println!("{error}");
        }
    }
    for entry in stock.iter() {
        let (name, article) = entry?;
        println!("{name}: {} at {:.2}", article.pieces, article.price);
    }
    println!("{:?}", log.items()?);
    assert_eq!(stock.get(&"tea".to_owned())?.map(|tea| tea.pieces), Some(175));
    Ok(())
}
