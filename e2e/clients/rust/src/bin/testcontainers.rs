//! testcontainers for Rust, the way a test suite uses it: wait for a line, a health and a page's port, copy, execute, network, stop.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Result, ensure};
use testcontainers::{
    ContainerAsync, ContainerRequest, CopyTargetOptions, GenericImage, ImageExt as _,
    core::{
        CmdWaitFor, ContainerPort, ExecCommand, Healthcheck, IntoContainerPort as _, Mount,
        WaitFor,
        wait::{ExitWaitStrategy, LogWaitStrategy},
    },
    runners::AsyncRunner as _,
};
use tokio::io::AsyncReadExt as _;

const PATIENCE: Duration = Duration::from_secs(20);
const SERVE: &str = "mkdir -p /www; cp /tmp/page /www/index.html; echo ready; echo warm >&2; \
                     exec httpd -f -p 80 -h /www";

#[tokio::main]
async fn main() -> Result<()> {
    println!("a server that gets a file before its start");
    server().await?;
    println!("what ends, what is healthy, what never comes");
    waits().await?;
    println!("two on a network");
    network().await?;
    println!("fine");
    Ok(())
}

fn image() -> GenericImage {
    GenericImage::new("busybox", "lab")
}

fn site(page: &str) -> ContainerRequest<GenericImage> {
    image()
        .with_exposed_port(80.tcp())
        .with_wait_for(WaitFor::message_on_stdout("ready"))
        .with_wait_for(WaitFor::message_on_stderr("warm"))
        .with_cmd(["sh", "-c", SERVE])
        .with_copy_to("/tmp/page", page.as_bytes().to_vec())
        .with_startup_timeout(PATIENCE)
}

/// Fetches `/` of a port of this host, as soon as somebody listens there: "ready" is said just before.
async fn page(port: u16) -> Result<String> {
    for _ in 0..50 {
        match fetch(port) {
            Ok(page) if !page.is_empty() => return Ok(page),
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    fetch(port)
}

fn fetch(port: u16) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    let body = reply.split_once("\r\n\r\n");
    Ok(body.unwrap_or_default().1.to_owned())
}

async fn said(container: &ContainerAsync<GenericImage>, script: &str) -> Result<(String, i64)> {
    let command = ExecCommand::new(["sh", "-c", script]);
    let ready = command.with_cmd_ready_condition(CmdWaitFor::exit());
    let mut result = container.exec(ready).await?;
    let text = String::from_utf8(result.stdout_to_vec().await?)?;
    Ok((text, result.exit_code().await?.unwrap_or(-1)))
}

async fn server() -> Result<()> {
    let request = site("hello")
        .with_env_var("TIER", "front")
        .with_label("team", "blue")
        .with_hostname("web")
        .with_mount(Mount::tmpfs_mount("/fast"))
        .with_copy_to(
            CopyTargetOptions::new("/tmp/key").with_mode(0o600),
            b"k".to_vec(),
        );
    let web = request.start().await?;
    let port = web.get_host_port_ipv4(ContainerPort::Tcp(80)).await?;
    ensure!(page(port).await? == "hello");
    let (text, code) = said(&web, "echo $TIER $HOSTNAME; stat -c %a /tmp/key; exit 3").await?;
    ensure!(text == "front web\n600\n" && code == 3, "{text} {code}");
    let mut kept = Vec::new();
    web.copy_file_from("/www/index.html", &mut kept).await?;
    ensure!(kept == b"hello");
    ensure!(web.stdout_to_vec().await? == b"ready\n" && web.stderr_to_vec().await? == b"warm\n");
    web.pause().await?;
    web.unpause().await?;
    web.stop_with_timeout(Some(0)).await?;
    ensure!(!web.is_running().await?);
    web.start().await?;
    let port = web.get_host_port_ipv4(80.tcp()).await?;
    ensure!(page(port).await? == "hello");
    Ok(web.rm().await?)
}

async fn waits() -> Result<()> {
    let exit = ExitWaitStrategy::new().with_exit_code(4);
    let short = image().with_wait_for(WaitFor::exit(exit));
    let short = short
        .with_cmd(["sh", "-c", "echo done; exit 4"])
        .start()
        .await?;
    let mut told = String::new();
    short.stdout(false).read_to_string(&mut told).await?;
    ensure!(
        told == "done\n" && short.exit_code().await? == Some(4),
        "{told}"
    );
    short.rm().await?;

    let check = Healthcheck::cmd_shell("test -f /tmp/up").with_interval(Duration::from_millis(200));
    let healthy = image()
        .with_wait_for(WaitFor::healthcheck())
        .with_cmd(["sh", "-c", "sleep 0.5; touch /tmp/up; exec sleep 1000"])
        .with_health_check(check)
        .with_startup_timeout(PATIENCE);
    healthy.start().await?.rm().await?;

    let never = LogWaitStrategy::stdout("tick").with_times(3);
    let twice = image()
        .with_wait_for(WaitFor::log(never))
        .with_cmd(["sh", "-c", "echo tick; echo tick; exec sleep 1000"])
        .with_startup_timeout(Duration::from_secs(2));
    ensure!(twice.start().await.is_err(), "the third line never comes");
    Ok(())
}

/// A script that fetches a page as soon as somebody listens.
fn fetched(host: &str) -> String {
    format!(
        "for i in $(seq 50); do wget -qO- http://{host}/ 2>/dev/null && exit; sleep 0.1; done; exit 1"
    )
}

async fn network() -> Result<()> {
    let server = site("joined")
        .with_network("suite")
        .with_container_name("site");
    let server = server.start().await?;
    let client = image().with_cmd(["sleep", "1000"]).with_network("suite");
    let client = client.start().await?;
    let (text, code) = said(&client, &fetched("site")).await?;
    ensure!(text == "joined" && code == 0, "{text} {code}");
    let address = server.get_bridge_ip_address().await?;
    let (text, _) = said(&client, &fetched(&address.to_string())).await?;
    ensure!(text == "joined", "{text}");
    client.rm().await?;
    Ok(server.rm().await?)
}
