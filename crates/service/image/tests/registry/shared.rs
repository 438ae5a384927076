//! Pulls that want the same layers at the same time, and what one of them may do to another.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use hakone_base::Digest;
use hakone_image::{Error, Progress, PullRequest};
use hakone_registry::Credentials;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::{
    Lab, image, serve,
    server::{Image, Server, head},
    statuses,
};

const LATER: &str = "2026-01-02T00:00:00Z";

/// A registry whose layers come a byte at a time until it is told to hurry; that takes hours.
fn slow(image: &Image, hurry: &Arc<AtomicBool>) -> Server {
    let (layers, hurry) = (image.layers.clone(), Arc::clone(hurry));
    serve(image, move |seen, stream| {
        let wanted = layers
            .iter()
            .find(|layer| seen.path.ends_with(Digest::of(layer).as_str()));
        let Some(layer) = wanted.filter(|_| seen.method == "GET") else {
            return false;
        };
        head(stream, "200 OK", &[], layer.len());
        let mut bytes = layer.as_slice();
        while let Some((first, rest)) = bytes.split_first()
            && !hurry.load(Ordering::Relaxed)
            && stream.write_all(&[*first]).is_ok()
        {
            bytes = rest;
            thread::sleep(Duration::from_millis(20));
        }
        stream.write_all(bytes).ok();
        true
    })
}

fn pull(lab: &Lab, name: &str) -> Progress {
    lab.service.pull(PullRequest {
        name: name.parse().unwrap(),
        platform: None,
        credentials: Credentials::None,
    })
}

fn begin(lab: &Lab, name: &str) -> JoinHandle<Result<Vec<Value>, Error>> {
    tokio::spawn(pull(lab, name).finish())
}

/// Waits until a pull waits for both layers of an image, which do not come yet.
async fn waits(pull: &mut Progress) {
    for _ in 0..2 {
        while pull.next().await.unwrap().unwrap()["status"] != "Pulling fs layer" {}
    }
    // These tests have one thread: whoever said so asks for them as soon as everybody else had a turn or two.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

/// Waits until so many requests for what `part` is in have come.
async fn asked(server: &Server, part: &str, count: usize) {
    while server.seen(part).len() < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn layer_requests(server: &Server, image: &Image) -> Vec<usize> {
    let count = |layer: &Vec<u8>| server.seen(Digest::of(layer).as_str()).len();
    image.layers.iter().map(count).collect()
}

#[tokio::test]
async fn two_pulls_of_the_same_layers_fetch_each_once_and_both_are_told() {
    let (lab, image, hurry) = (Lab::new().await, image(), Arc::default());
    let server = slow(&image, &hurry);
    let mut pulls = ["app:1", "team/app:2"].map(|name| pull(&lab, &server.name(name)));
    for pull in &mut pulls {
        waits(pull).await;
    }
    hurry.store(true, Ordering::Relaxed);
    for pull in pulls {
        let said = statuses(&pull.finish().await.unwrap());
        for status in ["Download complete", "Pull complete"] {
            assert_eq!(
                said.iter().filter(|one| *one == status).count(),
                2,
                "{said:?}"
            );
        }
    }
    assert_eq!(layer_requests(&server, &image), [1, 1]);
    assert!(lab.layer_file(&server.name("team/app:2"), "two"));
}

#[tokio::test]
async fn the_pull_that_began_a_layer_may_leave_and_the_other_gets_it() {
    let (lab, image, hurry) = (Lab::new().await, image(), Arc::default());
    let server = slow(&image, &hurry);
    let mut first = pull(&lab, &server.name("app:1"));
    waits(&mut first).await;
    asked(&server, "/blobs/", 3).await;
    let mut second = pull(&lab, &server.name("app:2"));
    waits(&mut second).await;
    drop(first);
    hurry.store(true, Ordering::Relaxed);
    second.finish().await.unwrap();
    assert_eq!(layer_requests(&server, &image), [1, 1]);
    assert!(lab.service.resolve(&server.name("app:1")).is_err());
}

#[tokio::test]
async fn a_registry_that_dribbles_holds_up_nobody_who_pulls_from_another() {
    let (lab, image, never) = (Lab::new().await, image(), Arc::default());
    let (hostile, honest) = (slow(&image, &never), serve(&image, |_, _| false));
    let held = begin(&lab, &hostile.name("evil:1"));
    asked(&hostile, "/blobs/", 3).await;
    let pulled = begin(&lab, &honest.name("app:1"));
    let ended = tokio::time::timeout(Duration::from_secs(60), pulled).await;
    ended.expect("it waits for a stranger").unwrap().unwrap();
    assert!(!held.is_finished(), "it was held up");
    held.abort();
}

#[tokio::test]
async fn what_fails_for_one_pull_is_tried_again_by_the_other() {
    let (lab, image) = (Lab::new().await, image());
    let refused = Arc::new(AtomicBool::new(false));
    let (layers, once) = (image.layers.clone(), Arc::clone(&refused));
    // The first to ask for a layer waits, and gets another one's bytes.
    let server = serve(&image, move |seen, stream| {
        let first = seen.path.ends_with(Digest::of(&layers[0]).as_str())
            && !once.swap(true, Ordering::SeqCst);
        if first {
            thread::sleep(Duration::from_millis(300));
            head(stream, "200 OK", &[], layers[0].len());
            stream.write_all(&vec![7; layers[0].len()]).ok();
        }
        first
    });
    let first = begin(&lab, &server.name("app:1"));
    asked(&server, Digest::of(&image.layers[0]).as_str(), 1).await;
    let second = begin(&lab, &server.name("app:2"));
    assert!(first.await.unwrap().is_err());
    second.await.unwrap().unwrap();
    assert!(lab.layer_file(&server.name("app:2"), "one"));
}

#[tokio::test]
async fn an_image_that_is_removed_takes_no_layer_from_a_pull_that_found_it() {
    let (lab, image, hurry) = (Lab::new().await, image(), Arc::default());
    let honest = serve(&image, |_, _| false);
    lab.pull(&honest.name("app:1")).await.unwrap();
    let other = Image::new(LATER, &["one", "three"]);
    let server = slow(&other, &hurry);
    let pull = begin(&lab, &server.name("other:1"));
    // Its config and the layer that is not here.
    asked(&server, "/blobs/", 2).await;
    lab.service
        .remove(&honest.name("app:1"), true, false)
        .await
        .unwrap();
    hurry.store(true, Ordering::Relaxed);
    pull.await.unwrap().unwrap();
    assert!(lab.layer_file(&server.name("other:1"), "one"));
    // The layer that nobody needs any more is gone.
    assert_eq!(
        lab.contents()
            .iter()
            .filter(|path| path.contains("/layers/"))
            .count(),
        2
    );
}
