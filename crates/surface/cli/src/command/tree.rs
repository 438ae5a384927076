//! The tree of commands: one variant each, flags where the verb is.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use hakone_client::flag::shared::{Containers, PruneFlags};

use hakone_build_cli as build;
use hakone_image_cli::{self as image, registry};
use hakone_policy_cli as policy;

use crate::{complete, container, network, security, system, volume};

/// A container engine whose subject is what may reach what
#[derive(Parser, Debug)]
#[command(
    name = "hakone",
    version,
    disable_help_flag = true,
    disable_version_flag = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) daemon: Daemon,
    /// Print usage
    #[arg(long, global = true, action = ArgAction::Help)]
    help: Option<bool>,
    /// Print version information and quit
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// Which daemon, and how to prove who we are.
#[derive(Args, Debug)]
pub(super) struct Daemon {
    /// Daemon socket to connect to
    #[arg(short = 'H', long, value_name = "address", env = "HAKONE_HOST")]
    pub(super) host: Option<String>,
    /// Use TLS; implied by --tlsverify
    #[arg(long)]
    pub(super) tls: bool,
    /// Use TLS and verify the remote
    #[arg(long)]
    pub(super) tlsverify: bool,
    /// Trust certs signed only by this CA
    #[arg(long, value_name = "file")]
    pub(super) tlscacert: Option<PathBuf>,
    /// Path to TLS certificate file
    #[arg(long, value_name = "file")]
    pub(super) tlscert: Option<PathBuf>,
    /// Path to TLS key file
    #[arg(long, value_name = "file")]
    pub(super) tlskey: Option<PathBuf>,
}

macro_rules! verbs {
    ($(#[$outer:meta])* $name:ident { $($(#[$meta:meta])* $verb:ident $(($arguments:ty))?,)* }) => {
        $(#[$outer])*
        #[derive(Subcommand, Debug)]
        pub(super) enum $name { $($(#[$meta])* $verb $(($arguments))?,)* }
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
        /// Copy files/folders between a container and the local filesystem
        Cp(container::cp::Arguments),
        /// Create a new image from a container's changes
        Commit(container::commit::Arguments),
        /// Inspect changes to files or directories on a container's filesystem
        Diff(container::diff::Arguments),
        /// Export a container's filesystem as a tar archive
        Export(container::export::Arguments),
        /// Display a live stream of container(s) resource usage statistics
        Stats(container::stats::Arguments),
        /// Update configuration of one or more containers
        Update(Box<container::update::Arguments>),
        /// Build an image from a Dockerfile
        Build(Box<build::build::Arguments>),
        /// List images
        Images(image::ls::Arguments),
        /// Download an image from a registry
        Pull(image::pull::Arguments),
        /// Upload an image to a registry
        Push(image::push::Arguments),
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
        /// Authenticate to a registry
        Login(registry::login::Arguments),
        /// Log out from a registry
        Logout(registry::logout::Arguments),
        /// Search Docker Hub for images
        Search(registry::search::Arguments),
        /// Get real time events from the server
        Events(system::events::Arguments),
        /// Show the flow log: connections that begin and end, packets that are dropped
        Flows(security::flows::Arguments),
        /// Show who reaches whom on which ports
        Reach(security::reach::Arguments),
        /// Attack throw-away containers on this host and show what was blocked
        Attack(security::attack::Arguments),
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
        /// Manage what is remembered of builds
        #[command(subcommand)]
        Builder(BuilderVerb),
        /// Check Dockerfiles against rules of good practice; ends with 1 when there are findings
        Lint(build::lint::Arguments),
        /// Manage policies between containers
        #[command(subcommand)]
        Policy(PolicyVerb),
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
        /// Copy files/folders between a container and the local filesystem
        Cp(container::cp::Arguments),
        /// Create a new image from a container's changes
        Commit(container::commit::Arguments),
        /// Inspect changes to files or directories on a container's filesystem
        Diff(container::diff::Arguments),
        /// Export a container's filesystem as a tar archive
        Export(container::export::Arguments),
        /// Display a live stream of container(s) resource usage statistics
        Stats(container::stats::Arguments),
        /// Update configuration of one or more containers
        Update(Box<container::update::Arguments>),
        /// Remove all stopped containers
        Prune(PruneFlags),
    }
}

verbs! {
    /// What can be asked of images.
    ImageVerb {
        /// Build an image from a Dockerfile
        Build(Box<build::build::Arguments>),
        /// List images
        #[command(alias = "list")]
        Ls(image::ls::Arguments),
        /// Download an image from a registry
        Pull(image::pull::Arguments),
        /// Upload an image to a registry
        Push(image::push::Arguments),
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
    /// What can be asked of the builder.
    BuilderVerb {
        /// Build an image from a Dockerfile
        Build(Box<build::build::Arguments>),
        /// Show what is remembered of builds
        Du(build::builder::du::Arguments),
        /// Remove build cache
        Prune(build::builder::prune::Arguments),
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
    /// What can be asked of policies.
    PolicyVerb {
        /// Apply policies from a file: all of them, or none
        Apply(policy::apply::Arguments),
        /// Show policies
        Get(policy::get::Arguments),
        /// Delete policies by name, or those of a file
        Delete(policy::delete::Arguments),
        /// Show what applying a file would change
        Diff(policy::diff::Arguments),
        /// Say why one container reaches a port of another, or does not
        Explain(policy::explain::Arguments),
        /// Watch running containers and print the smallest policies that allow what was seen
        Learn(policy::learn::Arguments),
        /// Test policies against expectations, without a daemon
        Test(policy::test::Arguments),
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
        /// Wrap the key of an encrypted volume by another key file
        Rotate(volume::rotate::Arguments),
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
