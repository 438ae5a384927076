//! Which file runs which verb.

use clap::Command;
use hakone_build_cli as build;
use hakone_client::{Error, Session};
use hakone_image_cli::{self as image, registry};
use hakone_policy_cli as policy;

use super::tree::{
    BuilderVerb, ContainerVerb, ImageVerb, NetworkVerb, PolicyVerb, SystemVerb, Verb, VolumeVerb,
};
use crate::{complete, container, network, security, system, volume};

pub(super) async fn verb(session: &Session, verb: &Verb, command: Command) -> Result<u8, Error> {
    match verb {
        Verb::Run(arguments) => return Box::pin(container::run::run(session, arguments)).await,
        Verb::Start(arguments) => return Box::pin(container::start::run(session, arguments)).await,
        Verb::Exec(arguments) => return Box::pin(container::exec::run(session, arguments)).await,
        Verb::Attach(arguments) => {
            return Box::pin(container::attach::run(session, arguments)).await;
        }
        Verb::Reach(arguments) => return security::reach::run(session, arguments).await,
        Verb::Attack(arguments) => return security::attack::run(session, arguments).await,
        Verb::Container(verb) => return Box::pin(of_container(session, verb)).await,
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
        Verb::Cp(arguments) => Box::pin(container::cp::run(session, arguments)).await,
        Verb::Commit(arguments) => container::commit::run(session, arguments).await,
        Verb::Diff(arguments) => container::diff::run(session, arguments).await,
        Verb::Export(arguments) => container::export::run(session, arguments).await,
        Verb::Stats(arguments) => container::stats::run(session, arguments).await,
        Verb::Update(arguments) => container::update::run(session, arguments).await,
        Verb::Build(arguments) => Box::pin(build::build::run(session, arguments)).await,
        Verb::Builder(verb) => of_builder(session, verb).await,
        Verb::Images(arguments) => image::ls::run(session, arguments).await,
        Verb::Pull(arguments) => image::pull::run(session, arguments).await,
        Verb::Push(arguments) => image::push::run(session, arguments).await,
        Verb::Login(arguments) => registry::login::run(session, arguments).await,
        Verb::Logout(arguments) => registry::logout::run(session, arguments).await,
        Verb::Search(arguments) => registry::search::run(session, arguments).await,
        Verb::Load(arguments) => image::load::run(session, arguments).await,
        Verb::Save(arguments) => image::save::run(session, arguments).await,
        Verb::Import(arguments) => image::import::run(session, arguments).await,
        Verb::Tag(arguments) => image::tag::run(session, arguments).await,
        Verb::Rmi(arguments) => image::rm::run(session, arguments).await,
        Verb::History(arguments) => image::history::run(session, arguments).await,
        Verb::Events(arguments) => system::events::run(session, arguments).await,
        Verb::Flows(arguments) => security::flows::run(session, arguments).await,
        Verb::Info(arguments) => system::info::run(session, arguments).await,
        Verb::Version(arguments) => system::version::run(session, arguments).await,
        Verb::Image(verb) => of_image(session, verb).await,
        Verb::Network(verb) => of_network(session, verb).await,
        Verb::Lint(arguments) => build::lint::run(session, arguments),
        Verb::Policy(verb) => of_policy(session, verb).await,
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
        ContainerVerb::Run(arguments) => {
            return Box::pin(container::run::run(session, arguments)).await;
        }
        ContainerVerb::Start(arguments) => {
            return Box::pin(container::start::run(session, arguments)).await;
        }
        ContainerVerb::Exec(arguments) => {
            return Box::pin(container::exec::run(session, arguments)).await;
        }
        ContainerVerb::Attach(arguments) => {
            return Box::pin(container::attach::run(session, arguments)).await;
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
        ContainerVerb::Cp(arguments) => Box::pin(container::cp::run(session, arguments)).await,
        ContainerVerb::Commit(arguments) => container::commit::run(session, arguments).await,
        ContainerVerb::Diff(arguments) => container::diff::run(session, arguments).await,
        ContainerVerb::Export(arguments) => container::export::run(session, arguments).await,
        ContainerVerb::Stats(arguments) => container::stats::run(session, arguments).await,
        ContainerVerb::Update(arguments) => container::update::run(session, arguments).await,
        ContainerVerb::Prune(arguments) => container::prune::run(session, arguments).await,
    }
    .map(|()| 0)
}

async fn of_image(session: &Session, verb: &ImageVerb) -> Result<(), Error> {
    match verb {
        ImageVerb::Build(arguments) => Box::pin(build::build::run(session, arguments)).await,
        ImageVerb::Ls(arguments) => image::ls::run(session, arguments).await,
        ImageVerb::Pull(arguments) => image::pull::run(session, arguments).await,
        ImageVerb::Push(arguments) => image::push::run(session, arguments).await,
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

async fn of_builder(session: &Session, verb: &BuilderVerb) -> Result<(), Error> {
    match verb {
        BuilderVerb::Build(arguments) => Box::pin(build::build::run(session, arguments)).await,
        BuilderVerb::Du(arguments) => build::builder::du::run(session, arguments).await,
        BuilderVerb::Prune(arguments) => build::builder::prune::run(session, arguments).await,
    }
}

async fn of_policy(session: &Session, verb: &PolicyVerb) -> Result<(), Error> {
    match verb {
        PolicyVerb::Apply(arguments) => policy::apply::run(session, arguments).await,
        PolicyVerb::Get(arguments) => policy::get::run(session, arguments).await,
        PolicyVerb::Delete(arguments) => policy::delete::run(session, arguments).await,
        PolicyVerb::Diff(arguments) => policy::diff::run(session, arguments).await,
        PolicyVerb::Explain(arguments) => policy::explain::run(session, arguments).await,
        PolicyVerb::Learn(arguments) => policy::learn::run(session, arguments).await,
        PolicyVerb::Test(arguments) => policy::test::run(session, arguments),
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
        VolumeVerb::Rotate(arguments) => volume::rotate::run(session, arguments).await,
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
