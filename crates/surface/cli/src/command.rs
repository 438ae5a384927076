//! The tree of commands, and which file runs each.

use std::{path::PathBuf, process::ExitCode};

use clap::{ArgAction, ArgMatches, Args, Command, FromArgMatches, Parser, Subcommand};

use crate::{
    Console, Error,
    client::{self, Address, Identity},
    complete, container,
    flag::{
        self,
        shared::{Containers, PruneFlags},
        usage,
    },
    image, network,
    session::Session,
    system, volume,
};

/// A container engine whose subject is what may reach what
#[derive(Parser, Debug)]
#[command(
    name = "hakone",
    version,
    about,
    disable_help_flag = true,
    disable_version_flag = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    daemon: Daemon,
    /// Print usage
    #[arg(long, global = true, action = ArgAction::Help)]
    help: Option<bool>,
    /// Print version information and quit
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    verb: Verb,
}

/// Which daemon, and how to prove who we are.
#[derive(Args, Debug)]
struct Daemon {
    /// Daemon socket to connect to
    #[arg(short = 'H', long, value_name = "address", env = "HAKONE_HOST")]
    host: Option<String>,
    /// Use TLS; implied by --tlsverify
    #[arg(long)]
    tls: bool,
    /// Use TLS and verify the remote
    #[arg(long)]
    tlsverify: bool,
    /// Trust certs signed only by this CA
    #[arg(long, value_name = "file")]
    tlscacert: Option<PathBuf>,
    /// Path to TLS certificate file
    #[arg(long, value_name = "file")]
    tlscert: Option<PathBuf>,
    /// Path to TLS key file
    #[arg(long, value_name = "file")]
    tlskey: Option<PathBuf>,
}

macro_rules! verbs {
    ($(#[$outer:meta])* $name:ident { $($(#[$meta:meta])* $verb:ident $(($arguments:ty))?,)* }) => {
        $(#[$outer])*
        #[derive(Subcommand, Debug)]
        enum $name { $($(#[$meta])* $verb $(($arguments))?,)* }
    };
}

verbs! {
    /// All that can be asked.
    Verb {
        /// Create and run a new container from an image
        #[command(override_usage = "hakone run [OPTIONS] IMAGE [COMMAND] [ARG...]")]
        Run(Box<container::run::Arguments>),
        /// Create a new container
        #[command(override_usage = "hakone create [OPTIONS] IMAGE [COMMAND] [ARG...]")]
        Create(Box<container::create::Arguments>),
        /// Start one or more stopped containers
        Start(container::start::Arguments),
        /// Stop one or more running containers
        Stop(container::stop::Arguments),
        /// Restart one or more containers
        Restart(container::restart::Arguments),
        /// Kill one or more running containers
        Kill(container::kill::Arguments),
        /// Remove one or more containers
        Rm(container::rm::Arguments),
        /// List containers
        Ps(container::ls::Arguments),
        /// Fetch the logs of a container
        Logs(container::logs::Arguments),
        /// Execute a command in a running container
        #[command(override_usage = "hakone exec [OPTIONS] CONTAINER COMMAND [ARG...]")]
        Exec(container::exec::Arguments),
        /// Attach local standard input, output, and error streams to a running container
        Attach(container::attach::Arguments),
        /// Return low-level information on objects
        Inspect(system::inspect::Arguments),
        /// Block until one or more containers stop, then print their exit codes
        Wait(Containers),
        /// Rename a container
        Rename(container::rename::Arguments),
        /// Pause all processes within one or more containers
        Pause(Containers),
        /// Unpause all processes within one or more containers
        Unpause(Containers),
        /// List port mappings or a specific mapping for the container
        Port(container::port::Arguments),
        /// Display the running processes of a container
        Top(container::top::Arguments),
        /// List images
        Images(image::ls::Arguments),
        /// Load an image from a tar archive or STDIN
        Load(image::load::Arguments),
        /// Save one or more images to a tar archive
        Save(image::save::Arguments),
        /// Import the contents from a tarball to create a filesystem image
        Import(image::import::Arguments),
        /// Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
        Tag(image::tag::Arguments),
        /// Remove one or more images
        Rmi(image::rm::Arguments),
        /// Show the history of an image
        History(image::history::Arguments),
        /// Get real time events from the server
        Events(system::events::Arguments),
        /// Display system-wide information
        Info(system::info::Arguments),
        /// Show the version information of client and daemon
        Version(system::version::Arguments),
        /// Manage containers
        #[command(subcommand)]
        Container(ContainerVerb),
        /// Manage images
        #[command(subcommand)]
        Image(ImageVerb),
        /// Manage networks
        #[command(subcommand)]
        Network(NetworkVerb),
        /// Manage volumes
        #[command(subcommand)]
        Volume(VolumeVerb),
        /// Manage the engine as a whole
        #[command(subcommand)]
        System(SystemVerb),
        /// Print the completion script of a shell
        Completion(complete::Completion),
        /// Write manual pages into a folder
        Man(complete::Man),
    }
}

verbs! {
    /// What can be asked of containers.
    ContainerVerb {
        /// Create and run a new container from an image
        #[command(override_usage = "hakone container run [OPTIONS] IMAGE [COMMAND] [ARG...]")]
        Run(Box<container::run::Arguments>),
        /// Create a new container
        #[command(override_usage = "hakone container create [OPTIONS] IMAGE [COMMAND] [ARG...]")]
        Create(Box<container::create::Arguments>),
        /// Start one or more stopped containers
        Start(container::start::Arguments),
        /// Stop one or more running containers
        Stop(container::stop::Arguments),
        /// Restart one or more containers
        Restart(container::restart::Arguments),
        /// Kill one or more running containers
        Kill(container::kill::Arguments),
        /// Remove one or more containers
        #[command(alias = "remove")]
        Rm(container::rm::Arguments),
        /// List containers
        #[command(aliases = ["ps", "list"])]
        Ls(container::ls::Arguments),
        /// Fetch the logs of a container
        Logs(container::logs::Arguments),
        /// Execute a command in a running container
        #[command(override_usage = "hakone container exec [OPTIONS] CONTAINER COMMAND [ARG...]")]
        Exec(container::exec::Arguments),
        /// Attach local standard input, output, and error streams to a running container
        Attach(container::attach::Arguments),
        /// Display detailed information on one or more containers
        Inspect(container::inspect::Arguments),
        /// Block until one or more containers stop, then print their exit codes
        Wait(Containers),
        /// Rename a container
        Rename(container::rename::Arguments),
        /// Pause all processes within one or more containers
        Pause(Containers),
        /// Unpause all processes within one or more containers
        Unpause(Containers),
        /// List port mappings or a specific mapping for the container
        Port(container::port::Arguments),
        /// Display the running processes of a container
        Top(container::top::Arguments),
        /// Remove all stopped containers
        Prune(PruneFlags),
    }
}

verbs! {
    /// What can be asked of images.
    ImageVerb {
        /// List images
        #[command(alias = "list")]
        Ls(image::ls::Arguments),
        /// Load an image from a tar archive or STDIN
        Load(image::load::Arguments),
        /// Save one or more images to a tar archive
        Save(image::save::Arguments),
        /// Import the contents from a tarball to create a filesystem image
        Import(image::import::Arguments),
        /// Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
        Tag(image::tag::Arguments),
        /// Remove one or more images
        #[command(alias = "remove")]
        Rm(image::rm::Arguments),
        /// Show the history of an image
        History(image::history::Arguments),
        /// Display detailed information on one or more images
        Inspect(image::inspect::Arguments),
        /// Remove unused images
        Prune(image::prune::Arguments),
        /// Make a base image from a distribution's packages with debootstrap
        Bootstrap(image::bootstrap::Arguments),
    }
}

verbs! {
    /// What can be asked of networks.
    NetworkVerb {
        /// Create a network
        Create(Box<network::create::Arguments>),
        /// List networks
        #[command(alias = "list")]
        Ls(network::ls::Arguments),
        /// Remove one or more networks
        #[command(alias = "remove")]
        Rm(network::rm::Arguments),
        /// Display detailed information on one or more networks
        Inspect(network::inspect::Arguments),
        /// Connect a container to a network
        Connect(network::connect::Arguments),
        /// Disconnect a container from a network
        Disconnect(network::disconnect::Arguments),
        /// Remove all unused networks
        Prune(PruneFlags),
    }
}

verbs! {
    /// What can be asked of volumes.
    VolumeVerb {
        /// Create a volume
        Create(volume::create::Arguments),
        /// List volumes
        #[command(alias = "list")]
        Ls(volume::ls::Arguments),
        /// Remove one or more volumes
        #[command(alias = "remove")]
        Rm(volume::rm::Arguments),
        /// Display detailed information on one or more volumes
        Inspect(volume::inspect::Arguments),
        /// Remove unused local volumes
        Prune(volume::prune::Arguments),
    }
}

verbs! {
    /// What can be asked of the engine.
    SystemVerb {
        /// Show disk usage
        Df(system::df::Arguments),
        /// Get real time events from the server
        Events(system::events::Arguments),
        /// Display system-wide information
        Info(system::info::Arguments),
        /// Remove unused data
        Prune(system::prune::Arguments),
    }
}

/// Gives all the client's commands; the binary adds those of its own.
#[must_use]
pub fn command() -> Command {
    flag::dockers(<Cli as clap::CommandFactory>::command())
}

/// Parses the words of a command line; mistakes are said as docker says them and give the exit code to end with.
///
/// # Errors
/// When the words are no command, or ask for help.
pub fn matches(command: &Command, words: &[String]) -> Result<ArgMatches, ExitCode> {
    let mut built = command.clone();
    built.build();
    built.clone().try_get_matches_from(words).map_err(|error| {
        let complaint = usage::explain(&error, &built, words);
        let console = Console::of_process();
        let text = complaint.text.as_bytes();
        // Nobody is left to be told when this fails.
        drop(if complaint.asked_for {
            console.bytes(text)
        } else {
            console.error_bytes(text)
        });
        ExitCode::from(complaint.code)
    })
}

/// Runs what was parsed, on one thread, and gives the process's exit code. `command` is the whole tree, for completions.
#[must_use]
pub fn main(command: Command, matches: &ArgMatches) -> ExitCode {
    let console = Console::of_process();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(source) => {
            console.complain(&Error::Io {
                what: "start".into(),
                source,
            });
            return ExitCode::from(125);
        }
    };
    let code = runtime.block_on(Box::pin(run(console, command, matches)));
    // A read of the keyboard that is still waiting must not keep us.
    runtime.shutdown_background();
    ExitCode::from(code)
}

async fn run(console: Console, command: Command, matches: &ArgMatches) -> u8 {
    let cli = match Cli::from_arg_matches(matches) {
        Ok(cli) => cli,
        Err(error) => {
            console.note(&error.to_string());
            return 125;
        }
    };
    let session = match session(console, &cli.daemon) {
        Ok(session) => session,
        Err((console, error)) => {
            console.complain(&error);
            return 1;
        }
    };
    perform(&session, &cli.verb, command).await
}

/// Runs a verb and says what went wrong.
async fn perform(session: &Session, asked: &Verb, command: Command) -> u8 {
    match Box::pin(verb(session, asked, command)).await {
        Ok(code) => code,
        Err(error) => {
            session.console.complain(&error);
            error.code()
        }
    }
}

fn session(console: Console, daemon: &Daemon) -> Result<Session, (Console, Error)> {
    let host = daemon
        .host
        .clone()
        .or_else(|| variable("DOCKER_HOST"))
        .unwrap_or_else(|| client::DEFAULT.to_owned());
    let address: Address = match host.parse() {
        Ok(address) => address,
        Err(error) => return Err((console, error)),
    };
    let wanted = daemon.tls || daemon.tlsverify || variable("DOCKER_TLS_VERIFY").is_some();
    Ok(Session::new(
        console,
        address,
        wanted.then(|| identity(daemon)),
    ))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The three files, by default where docker keeps them.
fn identity(daemon: &Daemon) -> Identity {
    let folder = variable("DOCKER_CERT_PATH").map(PathBuf::from);
    let folder = folder
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".docker")))
        .unwrap_or_default();
    let file =
        |flag: &Option<PathBuf>, name: &str| flag.clone().unwrap_or_else(|| folder.join(name));
    Identity {
        ca: file(&daemon.tlscacert, "ca.pem"),
        certificate: file(&daemon.tlscert, "cert.pem"),
        key: file(&daemon.tlskey, "key.pem"),
    }
}

async fn verb(session: &Session, verb: &Verb, command: Command) -> Result<u8, Error> {
    match verb {
        Verb::Run(arguments) => return container::run::run(session, arguments).await,
        Verb::Start(arguments) => return container::start::run(session, arguments).await,
        Verb::Exec(arguments) => return container::exec::run(session, arguments).await,
        Verb::Attach(arguments) => return container::attach::run(session, arguments).await,
        Verb::Container(verb) => return of_container(session, verb).await,
        Verb::Create(arguments) => created(session, arguments).await,
        Verb::Stop(arguments) => container::stop::run(session, arguments).await,
        Verb::Restart(arguments) => container::restart::run(session, arguments).await,
        Verb::Kill(arguments) => container::kill::run(session, arguments).await,
        Verb::Rm(arguments) => container::rm::run(session, arguments).await,
        Verb::Ps(arguments) => container::ls::run(session, arguments).await,
        Verb::Logs(arguments) => container::logs::run(session, arguments).await,
        Verb::Inspect(arguments) => system::inspect::run(session, arguments).await,
        Verb::Wait(arguments) => container::wait::run(session, arguments).await,
        Verb::Rename(arguments) => container::rename::run(session, arguments).await,
        Verb::Pause(arguments) => container::pause::run(session, arguments).await,
        Verb::Unpause(arguments) => container::unpause::run(session, arguments).await,
        Verb::Port(arguments) => container::port::run(session, arguments).await,
        Verb::Top(arguments) => container::top::run(session, arguments).await,
        Verb::Images(arguments) => image::ls::run(session, arguments).await,
        Verb::Load(arguments) => image::load::run(session, arguments).await,
        Verb::Save(arguments) => image::save::run(session, arguments).await,
        Verb::Import(arguments) => image::import::run(session, arguments).await,
        Verb::Tag(arguments) => image::tag::run(session, arguments).await,
        Verb::Rmi(arguments) => image::rm::run(session, arguments).await,
        Verb::History(arguments) => image::history::run(session, arguments).await,
        Verb::Events(arguments) => system::events::run(session, arguments).await,
        Verb::Info(arguments) => system::info::run(session, arguments).await,
        Verb::Version(arguments) => system::version::run(session, arguments).await,
        Verb::Image(verb) => of_image(session, verb).await,
        Verb::Network(verb) => of_network(session, verb).await,
        Verb::Volume(verb) => of_volume(session, verb).await,
        Verb::System(verb) => of_system(session, verb).await,
        Verb::Completion(arguments) => complete::completion(&session.console, arguments, command),
        Verb::Man(arguments) => complete::man(arguments, command),
    }
    .map(|()| 0)
}

/// Docker ends a refused `create` with 1, and a refused `run` with 125.
async fn created(session: &Session, arguments: &container::create::Arguments) -> Result<(), Error> {
    container::create::run(session, arguments).await
}

async fn of_container(session: &Session, verb: &ContainerVerb) -> Result<u8, Error> {
    match verb {
        ContainerVerb::Run(arguments) => return container::run::run(session, arguments).await,
        ContainerVerb::Start(arguments) => return container::start::run(session, arguments).await,
        ContainerVerb::Exec(arguments) => return container::exec::run(session, arguments).await,
        ContainerVerb::Attach(arguments) => {
            return container::attach::run(session, arguments).await;
        }
        ContainerVerb::Create(arguments) => created(session, arguments).await,
        ContainerVerb::Stop(arguments) => container::stop::run(session, arguments).await,
        ContainerVerb::Restart(arguments) => container::restart::run(session, arguments).await,
        ContainerVerb::Kill(arguments) => container::kill::run(session, arguments).await,
        ContainerVerb::Rm(arguments) => container::rm::run(session, arguments).await,
        ContainerVerb::Ls(arguments) => container::ls::run(session, arguments).await,
        ContainerVerb::Logs(arguments) => container::logs::run(session, arguments).await,
        ContainerVerb::Inspect(arguments) => container::inspect::run(session, arguments).await,
        ContainerVerb::Wait(arguments) => container::wait::run(session, arguments).await,
        ContainerVerb::Rename(arguments) => container::rename::run(session, arguments).await,
        ContainerVerb::Pause(arguments) => container::pause::run(session, arguments).await,
        ContainerVerb::Unpause(arguments) => container::unpause::run(session, arguments).await,
        ContainerVerb::Port(arguments) => container::port::run(session, arguments).await,
        ContainerVerb::Top(arguments) => container::top::run(session, arguments).await,
        ContainerVerb::Prune(arguments) => container::prune::run(session, arguments).await,
    }
    .map(|()| 0)
}

async fn of_image(session: &Session, verb: &ImageVerb) -> Result<(), Error> {
    match verb {
        ImageVerb::Ls(arguments) => image::ls::run(session, arguments).await,
        ImageVerb::Load(arguments) => image::load::run(session, arguments).await,
        ImageVerb::Save(arguments) => image::save::run(session, arguments).await,
        ImageVerb::Import(arguments) => image::import::run(session, arguments).await,
        ImageVerb::Tag(arguments) => image::tag::run(session, arguments).await,
        ImageVerb::Rm(arguments) => image::rm::run(session, arguments).await,
        ImageVerb::History(arguments) => image::history::run(session, arguments).await,
        ImageVerb::Inspect(arguments) => image::inspect::run(session, arguments).await,
        ImageVerb::Prune(arguments) => image::prune::run(session, arguments).await,
        ImageVerb::Bootstrap(arguments) => image::bootstrap::run(session, arguments).await,
    }
}

async fn of_network(session: &Session, verb: &NetworkVerb) -> Result<(), Error> {
    match verb {
        NetworkVerb::Create(arguments) => network::create::run(session, arguments).await,
        NetworkVerb::Ls(arguments) => network::ls::run(session, arguments).await,
        NetworkVerb::Rm(arguments) => network::rm::run(session, arguments).await,
        NetworkVerb::Inspect(arguments) => network::inspect::run(session, arguments).await,
        NetworkVerb::Connect(arguments) => network::connect::run(session, arguments).await,
        NetworkVerb::Disconnect(arguments) => network::disconnect::run(session, arguments).await,
        NetworkVerb::Prune(arguments) => network::prune::run(session, arguments).await,
    }
}

async fn of_volume(session: &Session, verb: &VolumeVerb) -> Result<(), Error> {
    match verb {
        VolumeVerb::Create(arguments) => volume::create::run(session, arguments).await,
        VolumeVerb::Ls(arguments) => volume::ls::run(session, arguments).await,
        VolumeVerb::Rm(arguments) => volume::rm::run(session, arguments).await,
        VolumeVerb::Inspect(arguments) => volume::inspect::run(session, arguments).await,
        VolumeVerb::Prune(arguments) => volume::prune::run(session, arguments).await,
    }
}

async fn of_system(session: &Session, verb: &SystemVerb) -> Result<(), Error> {
    match verb {
        SystemVerb::Df(arguments) => system::df::run(session, arguments).await,
        SystemVerb::Events(arguments) => system::events::run(session, arguments).await,
        SystemVerb::Info(arguments) => system::info::run(session, arguments).await,
        SystemVerb::Prune(arguments) => system::prune::run(session, arguments).await,
    }
}

#[cfg(test)]
mod recorded;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_sound() {
        command().debug_assert();
    }
}
