//! Uses the engine as programs in Rust do, through bollard; ends with 0 when all was as Docker has it.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use bollard::{
    Docker, body_full,
    container::LogOutput,
    errors::Error,
    exec::{StartExecOptions, StartExecResults},
    models::{
        ContainerConfig, ContainerCreateBody, ContainerUpdateBody, EndpointSettings, ExecConfig,
        HostConfig, NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest,
        NetworkingConfig, PortBinding, VolumeCreateRequest,
    },
    query_parameters::{
        AttachContainerOptionsBuilder, BuildImageOptionsBuilder, CommitContainerOptionsBuilder,
        CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, EventsOptionsBuilder,
        ImportImageOptions, InspectNetworkOptions, ListContainersOptionsBuilder,
        ListVolumesOptions, LogsOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptions,
        RemoveVolumeOptions, RestartContainerOptionsBuilder, StatsOptionsBuilder,
        StopContainerOptionsBuilder, TagImageOptionsBuilder, UploadToContainerOptionsBuilder,
        WaitContainerOptionsBuilder,
    },
};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use tokio::{io::AsyncWriteExt as _, time::timeout};

const IMAGE: &str = "busybox:lab";
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let docker = Docker::connect_with_defaults()?.negotiate_version().await?;
    timeout(PATIENCE, stories(&docker)).await??;
    println!("fine");
    Ok(())
}

async fn stories(docker: &Docker) -> Result<()> {
    println!("system");
    system(docker).await?;
    println!("logs and attach");
    logs(docker).await?;
    attached(docker).await?;
    println!("objects");
    boxed(docker).await?;
    println!("exec");
    executed(docker).await?;
    println!("figures");
    figures(docker).await?;
    println!("files");
    files(docker).await?;
    println!("life and events");
    life(docker).await?;
    println!("networks and volumes");
    networks(docker).await?;
    volumes(docker).await?;
    println!("images");
    images(docker).await?;
    built(docker).await
}

/// Fails unless the engine refuses with that status.
fn refused<T>(result: Result<T, Error>, status: u16) -> Result<String> {
    match result.err() {
        Some(Error::DockerResponseServerError {
            status_code,
            message,
        }) if status_code == status => Ok(message),
        other => anyhow::bail!("{status} was expected, not {other:?}"),
    }
}

fn words(line: &[&str]) -> Option<Vec<String>> {
    Some(line.iter().map(ToString::to_string).collect())
}

async fn create(docker: &Docker, name: &str, config: ContainerCreateBody) -> Result<()> {
    let options = CreateContainerOptionsBuilder::new().name(name).build();
    let made = docker.create_container(Some(options), config).await?;
    ensure!(made.id.len() == 64 && made.warnings.is_empty(), "{made:?}");
    Ok(())
}

async fn remove(docker: &Docker, name: &str) -> Result<()> {
    let options = RemoveContainerOptionsBuilder::new()
        .force(true)
        .v(true)
        .build();
    Ok(docker.remove_container(name, Some(options)).await?)
}

async fn ended(docker: &Docker, name: &str) -> Result<i64> {
    let options = WaitContainerOptionsBuilder::new()
        .condition("not-running")
        .build();
    match docker.wait_container(name, Some(options)).try_next().await {
        Ok(Some(reply)) => Ok(reply.status_code),
        // A code other than 0 is an error to this library.
        Err(Error::DockerContainerWaitError { code, .. }) => Ok(code),
        other => anyhow::bail!("no end: {other:?}"),
    }
}

async fn collected(stream: impl Stream<Item = Result<LogOutput, Error>>) -> Result<[String; 2]> {
    let mut told = [String::new(), String::new()];
    let mut stream = std::pin::pin!(stream);
    while let Some(piece) = stream.try_next().await? {
        match &piece {
            LogOutput::StdErr { .. } => told[1].push_str(&piece.to_string()),
            _ => told[0].push_str(&piece.to_string()),
        }
    }
    Ok(told)
}

async fn bytes<T: AsRef<[u8]>>(stream: impl Stream<Item = Result<T, Error>>) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut stream = std::pin::pin!(stream);
    while let Some(piece) = stream.try_next().await? {
        all.extend_from_slice(piece.as_ref());
    }
    Ok(all)
}

async fn system(docker: &Docker) -> Result<()> {
    ensure!(docker.ping().await? == "OK");
    let version = docker.version().await?;
    ensure!(version.os.as_deref() == Some("linux"), "{version:?}");
    let info = docker.info().await?;
    ensure!(info.ncpu.unwrap_or_default() >= 1, "{info:?}");
    ensure!(info.images > Some(0));
    docker.df(None).await?;
    refused(docker.inspect_container("nosuch", None).await, 404)?;
    refused(docker.inspect_image("nosuch:image").await, 404)?;
    Ok(())
}

async fn logs(docker: &Docker) -> Result<()> {
    let script = "for i in 1 2 3; do echo $i; sleep 0.1; done; echo no >&2; exit 3";
    let config = ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd: words(&["sh", "-c", script]),
        ..Default::default()
    };
    create(docker, "talker", config).await?;
    docker.start_container("talker", None).await?;
    let base = || LogsOptionsBuilder::new().stdout(true).stderr(true);
    let followed = docker.logs("talker", Some(base().follow(true).build()));
    ensure!(collected(followed).await? == ["1\n2\n3\n", "no\n"]);
    ensure!(ended(docker, "talker").await? == 3);
    let last = docker.logs("talker", Some(base().tail("2").build()));
    ensure!(collected(last).await? == ["3\n", "no\n"]);
    // The lines of both streams are counted, whichever are asked for.
    let last = docker.logs("talker", Some(base().stderr(false).tail("1").build()));
    ensure!(collected(last).await? == ["", ""]);
    let stamped = docker.logs("talker", Some(base().timestamps(true).build()));
    let [out, _] = collected(stamped).await?;
    ensure!(out.contains("Z 1\n"), "{out}");
    remove(docker, "talker").await
}

async fn attached(docker: &Docker) -> Result<()> {
    let config = ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd: words(&["cat"]),
        open_stdin: Some(true),
        stdin_once: Some(true),
        attach_stdin: Some(true),
        ..Default::default()
    };
    create(docker, "echo", config).await?;
    let options = AttachContainerOptionsBuilder::new()
        .stdin(true)
        .stdout(true)
        .stream(true)
        .build();
    let mut open = docker.attach_container("echo", Some(options)).await?;
    docker.start_container("echo", None).await?;
    open.input.write_all(b"echoed\n").await?;
    open.input.shutdown().await?;
    ensure!(collected(open.output).await? == ["echoed\n", ""]);
    ensure!(ended(docker, "echo").await? == 0);
    remove(docker, "echo").await
}

/// Makes the container that the next stories are about.
async fn boxed(docker: &Docker) -> Result<()> {
    let port = HashMap::from([("80/tcp".to_owned(), Some(vec![PortBinding::default()]))]);
    let config = || ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd: words(&["sleep", "1000"]),
        env: words(&["A=b"]),
        labels: Some(HashMap::from([("tier".to_owned(), "front".to_owned())])),
        exposed_ports: words(&["80/tcp"]),
        host_config: Some(HostConfig {
            memory: Some(64 << 20),
            port_bindings: Some(port.clone()),
            tmpfs: Some(HashMap::from([("/fast".to_owned(), "size=1m".to_owned())])),
            ..Default::default()
        }),
        ..Default::default()
    };
    create(docker, "box", config()).await?;
    docker.start_container("box", None).await?;
    let seen = docker.inspect_container("box", None).await?;
    ensure!(seen.state.and_then(|state| state.running) == Some(true));
    let ports = seen.network_settings.and_then(|it| it.ports);
    let ports = ports.context("ports")?;
    let bound = ports["80/tcp"].as_ref().context("no binding")?;
    let number: u16 = bound[0].host_port.as_ref().context("no number")?.parse()?;
    ensure!(number >= 1024, "{ports:?}");
    let filters = HashMap::from([("label", vec!["tier=front"])]);
    let options = ListContainersOptionsBuilder::new()
        .filters(&filters)
        .build();
    let listed = docker.list_containers(Some(options)).await?;
    ensure!(listed.len() == 1 && listed[0].names == words(&["/box"]));
    let options = CreateContainerOptionsBuilder::new().name("box").build();
    let told = refused(docker.create_container(Some(options), config()).await, 409)?;
    ensure!(told.contains("is already in use"), "{told}");
    Ok(())
}

async fn executed(docker: &Docker) -> Result<()> {
    let config = ExecConfig {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        env: words(&["B=c"]),
        working_dir: Some("/tmp".to_owned()),
        cmd: words(&[
            "sh",
            "-c",
            "read word; echo $word $A $B $PWD; echo no >&2; exit 5",
        ]),
        ..Default::default()
    };
    let made = docker.create_exec("box", config).await?;
    let begun = docker
        .start_exec(&made.id, None::<StartExecOptions>)
        .await?;
    let StartExecResults::Attached { output, mut input } = begun else {
        anyhow::bail!("not attached");
    };
    input.write_all(b"hello\n").await?;
    ensure!(collected(output).await? == ["hello b c /tmp\n", "no\n"]);
    let seen = docker.inspect_exec(&made.id).await?;
    ensure!(seen.exit_code == Some(5), "{seen:?}");
    let config = ExecConfig {
        cmd: words(&["true"]),
        ..Default::default()
    };
    let made = docker.create_exec("nosuch", config).await;
    refused(made, 404)?;
    Ok(())
}

async fn figures(docker: &Docker) -> Result<()> {
    let once = StatsOptionsBuilder::new()
        .stream(false)
        .one_shot(true)
        .build();
    let figures = docker.stats("box", Some(once)).try_next().await?;
    let memory = figures.and_then(|it| it.memory_stats);
    ensure!(memory.and_then(|it| it.limit) == Some(64 << 20));
    let stream = StatsOptionsBuilder::new().stream(true).build();
    let two: Vec<_> = docker
        .stats("box", Some(stream))
        .take(2)
        .try_collect()
        .await?;
    let names = two.iter().filter_map(|it| it.name.as_deref());
    ensure!(names.eq(["/box", "/box"]), "{two:?}");
    ensure!(two[1].read > two[0].read && two[1].networks.is_some());
    Ok(())
}

/// A tar of one file.
fn packed(name: &str, content: &[u8]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    archive.append_data(&mut header, name, content)?;
    Ok(archive.into_inner()?)
}

async fn files(docker: &Docker) -> Result<()> {
    let to = UploadToContainerOptionsBuilder::new().path("/tmp").build();
    let archive = packed("file", b"hello")?;
    let sent = docker.upload_to_container("box", Some(to), body_full(archive.into()));
    sent.await?;
    let from = |path| {
        DownloadFromContainerOptionsBuilder::new()
            .path(path)
            .build()
    };
    let got = bytes(docker.download_from_container("box", Some(from("/tmp/file")))).await?;
    let mut archive = tar::Archive::new(&got[..]);
    let mut entry = archive.entries()?.next().context("an empty archive")??;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut entry, &mut text)?;
    ensure!(text == "hello" && entry.path()?.ends_with("file"));
    let missing = bytes(docker.download_from_container("box", Some(from("/nosuch")))).await;
    ensure!(format!("{missing:?}").contains("404"), "{missing:?}");
    let changes = docker
        .container_changes("box")
        .await?
        .context("no changes")?;
    ensure!(
        changes.iter().any(|it| it.path == "/tmp/file"),
        "{changes:?}"
    );
    let all = bytes(docker.export_container("box")).await?;
    let mut archive = tar::Archive::new(&all[..]);
    let paths = archive
        .entries()?
        .filter_map(|it| Some(it.ok()?.path().ok()?.into_owned()));
    ensure!(paths.into_iter().any(|path| path.ends_with("tmp/file")));
    Ok(())
}

async fn life(docker: &Docker) -> Result<()> {
    let filters = HashMap::from([("container", vec!["box"]), ("type", vec!["container"])]);
    let options = EventsOptionsBuilder::new()
        .since("1")
        .filters(&filters)
        .build();
    let mut events = std::pin::pin!(docker.events(Some(options)));
    docker.pause_container("box").await?;
    let paused = docker.inspect_container("box", None).await?;
    ensure!(paused.state.and_then(|it| it.paused) == Some(true));
    docker.unpause_container("box").await?;
    let more = ContainerUpdateBody {
        memory: Some(128 << 20),
        memory_swap: Some(256 << 20),
        ..Default::default()
    };
    docker.update_container("box", more).await?;
    let soon = RestartContainerOptionsBuilder::new().t(0).build();
    docker.restart_container("box", Some(soon)).await?;
    let soon = StopContainerOptionsBuilder::new().t(0).build();
    docker.stop_container("box", Some(soon)).await?;
    ensure!(ended(docker, "box").await? == 137);
    docker.start_container("box", None).await?;
    let mut told = Vec::new();
    while told.iter().filter(|it| *it == "start").count() < 3 {
        let event = events.try_next().await?.context("the events end")?;
        told.extend(event.action);
    }
    for action in [
        "create", "pause", "unpause", "update", "kill", "die", "restart", "stop",
    ] {
        ensure!(told.iter().any(|it| it == action), "{action} in {told:?}");
    }
    Ok(())
}

async fn networks(docker: &Docker) -> Result<()> {
    let request = NetworkCreateRequest {
        name: "net".to_owned(),
        internal: Some(true),
        ..Default::default()
    };
    let made = docker.create_network(request).await?;
    let request = NetworkConnectRequest {
        container: "box".to_owned(),
        endpoint_config: Some(EndpointSettings {
            aliases: words(&["alias"]),
            ..Default::default()
        }),
    };
    docker.connect_network("net", request).await?;
    let seen = docker.inspect_network("net", None::<InspectNetworkOptions>);
    let seen = seen.await?;
    ensure!(seen.id == Some(made.id), "{:?}", seen.id);
    ensure!(seen.containers.is_some_and(|all| all.len() == 1));
    ensure!(asked(docker, "net", "alias").await? == 0);
    refused(docker.remove_network("net").await, 403)?;
    let request = NetworkDisconnectRequest {
        container: "box".to_owned(),
        force: None,
    };
    docker.disconnect_network("net", request).await?;
    docker.remove_network("net").await?;
    refused(
        docker
            .inspect_network("net", None::<InspectNetworkOptions>)
            .await,
        404,
    )?;
    Ok(())
}

/// Looks a name up in a container on a network, and gives the exit code.
async fn asked(docker: &Docker, network: &str, name: &str) -> Result<i64> {
    let endpoints = HashMap::from([(network.to_owned(), EndpointSettings::default())]);
    let config = ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd: words(&["nslookup", name]),
        host_config: Some(HostConfig {
            network_mode: Some(network.to_owned()),
            ..Default::default()
        }),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(endpoints),
        }),
        ..Default::default()
    };
    create(docker, "asker", config).await?;
    docker.start_container("asker", None).await?;
    let code = ended(docker, "asker").await?;
    remove(docker, "asker").await?;
    Ok(code)
}

async fn volumes(docker: &Docker) -> Result<()> {
    let request = VolumeCreateRequest {
        name: Some("cellar".to_owned()),
        labels: Some(HashMap::from([("a".to_owned(), "b".to_owned())])),
        ..Default::default()
    };
    let made = docker.create_volume(request).await?;
    ensure!(made.name == "cellar" && made.driver == "local", "{made:?}");
    let listed = docker.list_volumes(None::<ListVolumesOptions>).await?;
    let listed = listed.volumes.unwrap_or_default();
    ensure!(listed.iter().any(|it| it.name == "cellar"), "{listed:?}");
    docker
        .remove_volume("cellar", None::<RemoveVolumeOptions>)
        .await?;
    refused(docker.inspect_volume("cellar").await, 404)?;
    Ok(())
}

async fn images(docker: &Docker) -> Result<()> {
    let options = CommitContainerOptionsBuilder::new()
        .container("box")
        .repo("kept")
        .tag("one")
        .changes("ENV KEPT=yes")
        .build();
    docker
        .commit_container(options, ContainerConfig::default())
        .await?;
    let kept = docker.inspect_image("kept:one").await?;
    let env = kept.config.and_then(|it| it.env).unwrap_or_default();
    ensure!(env.iter().any(|it| it == "KEPT=yes"), "{env:?}");
    let saved = bytes(docker.export_image("kept:one")).await?;
    docker
        .remove_image("kept:one", None::<RemoveImageOptions>, None)
        .await?;
    refused(docker.inspect_image("kept:one").await, 404)?;
    let loaded = docker.import_image(ImportImageOptions::default(), body_full(saved.into()), None);
    let told: Vec<_> = loaded.try_collect().await?;
    ensure!(
        format!("{told:?}").contains("Loaded image: kept:one"),
        "{told:?}"
    );
    let options = TagImageOptionsBuilder::new()
        .repo("kept")
        .tag("two")
        .build();
    docker.tag_image("kept:one", Some(options)).await?;
    ensure!(docker.image_history("kept:two").await?.len() >= 2);
    for name in ["kept:one", "kept:two"] {
        docker
            .remove_image(name, None::<RemoveImageOptions>, None)
            .await?;
    }
    remove(docker, "box").await
}

async fn built(docker: &Docker) -> Result<()> {
    let dockerfile = format!("FROM {IMAGE}\nRUN echo built >/made\nCMD [\"cat\", \"/made\"]\n");
    let context = packed("Dockerfile", dockerfile.as_bytes())?;
    let options = BuildImageOptionsBuilder::new()
        .t("made:lab")
        .rm(true)
        .build();
    let steps = docker.build_image(options, None, Some(body_full(context.into())));
    let told: Vec<_> = steps.try_collect().await?;
    ensure!(
        format!("{told:?}").contains("Successfully tagged made:lab"),
        "{told:?}"
    );
    let config = ContainerCreateBody {
        image: Some("made:lab".to_owned()),
        ..Default::default()
    };
    create(docker, "made", config).await?;
    docker.start_container("made", None).await?;
    ensure!(ended(docker, "made").await? == 0);
    let options = LogsOptionsBuilder::new().stdout(true).build();
    ensure!(collected(docker.logs("made", Some(options))).await? == ["built\n", ""]);
    remove(docker, "made").await?;
    docker
        .remove_image("made:lab", None::<RemoveImageOptions>, None)
        .await?;
    Ok(())
}
