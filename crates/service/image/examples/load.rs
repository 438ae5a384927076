//! Loads an archive into an empty store and prints the seconds: `load ARCHIVE FOLDER`.

use std::{env, time::Instant};

use hakone_events::Bus;
use hakone_image::{Options, Service};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(archive), Some(root)) = (arguments.next(), arguments.next()) else {
        return Err("usage: load ARCHIVE FOLDER".into());
    };
    let service = Service::open(Options::new(root), Bus::default()).await?;
    let begin = Instant::now();
    let file = tokio::fs::File::open(archive).await?;
    let said = service.load(file, None, true).finish().await?;
    #[expect(clippy::print_stdout, reason = "the figure is what this is for")]
    {
        println!("{said:?} {:.3} s", begin.elapsed().as_secs_f64());
    }
    Ok(())
}
