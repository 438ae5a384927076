//! The trials: each table of frames between its attacker and those who listen, then connections.
//!
//! Frames of one attacker pass in order, so once an honest one has arrived behind the attacks, whatever was to arrive has.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    thread::sleep,
    time::{Duration, Instant},
};

use hakone_attack_model::{
    Attack, Mark, Outcome, Report, Role, Trial, beyond, honest, isolated, members, outward,
};
use hakone_netns::Netns;
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    ear::Ear,
    ground::{Fighter, Ground},
};

/// How long an honest frame may take, and how often it is sent.
const PATIENCE: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_millis(50);
/// How long late frames are waited for.
const SETTLE: Duration = Duration::from_millis(200);
/// How long a connection may take: an answer of this host takes none.
const CONNECTING: Duration = Duration::from_millis(800);
/// The port of the containers.
const SERVICE: u16 = 80;

/// Frames between an attacker and those who shall not receive them.
struct Bout<'a> {
    attacks: Vec<Attack>,
    prefix: &'static str,
    from: &'a Fighter,
    ears: Vec<Ear>,
    /// The honest frame, its name, and where it must arrive.
    control: (&'static str, &'static str, Vec<u8>),
    control_ear: Ear,
    mark: Mark,
    /// Whether a control that does not arrive says that this host has no place for the bout.
    optional: Option<&'static str>,
}

/// Runs all trials; gives up between two of them when nobody wants the report any more.
pub(crate) fn run(ground: &Ground, number: u64, end: &CancellationToken) -> Result<Report, Error> {
    let mut report = Report::default();
    connections(ground, &mut report, end)?;
    let bouts = [neighbours, silence, crossing, leaving, inside];
    for (index, bout) in (1..).zip(bouts) {
        if end.is_cancelled() {
            return Err(Error::CutOff);
        }
        if let Some(bout) = bout(ground, Mark(number ^ index), &mut report)? {
            report.trials.extend(bout.fight()?);
        }
    }
    Ok(report)
}

type Prepared<'a> = Result<Option<Bout<'a>>, Error>;

fn neighbours<'a>(ground: &'a Ground, mark: Mark, _: &mut Report) -> Prepared<'a> {
    let (me, victim) = (&ground.attacker, &ground.victim);
    let scene = ground.scene(me, victim);
    let frame = honest(
        me.person(),
        victim.stand.v4.into(),
        victim.stand.mac,
        &mark.of("neighbours"),
    );
    Ok(Some(Bout {
        attacks: members(&scene, mark),
        prefix: "",
        from: me,
        ears: vec![Ear::inside(&victim.netns)?],
        control: ("neighbours", "an honest datagram to a neighbour", frame),
        control_ear: Ear::inside(&victim.netns)?,
        mark,
        optional: None,
    }))
}

fn silence<'a>(ground: &'a Ground, mark: Mark, _: &mut Report) -> Prepared<'a> {
    let [one, two] = &ground.quiet;
    let scene = ground.scene(one, two);
    let gateway = one.gateway();
    let frame = honest(
        one.person(),
        gateway.v4.into(),
        gateway.mac,
        &mark.of("gateway_without_icc"),
    );
    Ok(Some(Bout {
        attacks: isolated(&scene, mark),
        prefix: "",
        from: one,
        ears: vec![Ear::inside(&two.netns)?],
        control: (
            "gateway_without_icc",
            "an honest datagram to the gateway, without icc",
            frame,
        ),
        control_ear: Ear::at(ground.quiet_bridge.as_str())?,
        mark,
        optional: None,
    }))
}

fn crossing<'a>(ground: &'a Ground, mark: Mark, _: &mut Report) -> Prepared<'a> {
    let (me, victim) = (&ground.attacker, &ground.victim);
    let scene = ground.scene(me, victim);
    let frame = honest(
        me.person(),
        victim.stand.v4.into(),
        victim.stand.mac,
        &mark.of("neighbours_still"),
    );
    Ok(Some(Bout {
        attacks: beyond(&scene, mark),
        prefix: "",
        from: me,
        ears: vec![Ear::inside(&ground.stranger.netns)?],
        control: (
            "neighbours_still",
            "an honest datagram to a neighbour, once more",
            frame,
        ),
        control_ear: Ear::inside(&victim.netns)?,
        mark,
        optional: None,
    }))
}

fn leaving<'a>(ground: &'a Ground, mark: Mark, report: &mut Report) -> Prepared<'a> {
    let (me, victim) = (&ground.attacker, &ground.victim);
    let attacks = outward(&ground.scene(me, victim), mark);
    let Some(uplink) = &ground.uplink else {
        let missing = "this host has no default route";
        report
            .trials
            .extend(attacks.iter().map(|attack| not_tried(attack, "", missing)));
        return Ok(None);
    };
    let far = IpAddr::from([198, 51, 100, 99]);
    let frame = honest(me.person(), far, me.gateway().mac, &mark.of("outside"));
    Ok(Some(Bout {
        attacks,
        prefix: "",
        from: me,
        ears: vec![Ear::at(uplink)?],
        control: ("outside", "an honest datagram to the outside", frame),
        control_ear: Ear::at(uplink)?,
        mark,
        optional: Some("nothing leaves this host by its default route"),
    }))
}

fn inside<'a>(ground: &'a Ground, mark: Mark, _: &mut Report) -> Prepared<'a> {
    let inner = &ground.inner;
    let mut scene = ground.scene(inner, inner);
    scene.stranger = ground.victim.person();
    let gateway = inner.gateway();
    let ping = honest(
        inner.person(),
        gateway.v4.into(),
        gateway.mac,
        &mark.of("own_bridge"),
    );
    let mut ears = vec![Ear::inside(&ground.victim.netns)?];
    if let Some(uplink) = &ground.uplink {
        ears.push(Ear::at(uplink)?);
    }
    Ok(Some(Bout {
        attacks: beyond(&scene, mark),
        prefix: "internal_",
        from: inner,
        ears,
        control: (
            "own_bridge",
            "an honest datagram to the bridge of an internal network",
            ping,
        ),
        control_ear: Ear::at(ground.inner_bridge.as_str())?,
        mark,
        optional: None,
    }))
}

impl Bout<'_> {
    fn fight(&self) -> Result<Vec<Trial>, Error> {
        let attacker = Ear::inside(&self.from.netns)?;
        for frame in self.attacks.iter().flat_map(|attack| &attack.frames) {
            attacker.send(frame);
        }
        let arrived = self.send_control(&attacker)?;
        sleep(SETTLE);
        let mut heard = BTreeSet::new();
        for ear in &self.ears {
            ear.hear(self.mark, &mut heard)?;
        }
        if let Some(reason) = self.optional.filter(|_| !arrived) {
            let missing = self.attacks.iter();
            return Ok(missing
                .map(|attack| not_tried(attack, self.prefix, reason))
                .collect());
        }
        let (name, tries, _) = &self.control;
        let mut trials = vec![trial(name, tries, Role::Control, arrived)];
        trials.extend(self.attacks.iter().map(|attack| {
            let name = format!("{}{}", self.prefix, attack.name);
            trial(
                &name,
                attack.tries,
                Role::Attack,
                heard.contains(attack.name),
            )
        }));
        Ok(trials)
    }

    /// A queue that is full for a moment may drop an honest frame as well: it is sent until it arrives.
    fn send_control(&self, attacker: &Ear) -> Result<bool, Error> {
        let (name, _, frame) = &self.control;
        let deadline = Instant::now() + PATIENCE;
        let mut heard = BTreeSet::new();
        while Instant::now() < deadline {
            attacker.send(frame);
            sleep(PAUSE);
            self.control_ear.hear(self.mark, &mut heard)?;
            if heard.contains(*name) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn connections(ground: &Ground, report: &mut Report, end: &CancellationToken) -> Result<(), Error> {
    report.trials.extend(honest_connections(ground)?);
    let services = Services::open(ground)?;
    for (name, tries, from, to) in hostile_connections(ground, &services) {
        if end.is_cancelled() {
            return Err(Error::CutOff);
        }
        if let Some(to) = to {
            let arrived = on(&from.netns, || connects(to))?;
            report
                .trials
                .push(trial(name, tries, Role::Attack, arrived));
        }
    }
    Ok(())
}

fn honest_connections(ground: &Ground) -> Result<Vec<Trial>, Error> {
    let (me, victim) = (&ground.attacker, &ground.victim);
    let neighbour = eventually(me, service(victim))?;
    let from_host = connects(service(victim));
    let own = listen(me)?;
    let to_host = on(&me.netns, || own.local_addr().is_ok_and(connects))?;
    let gateway = trial(
        "tcp_to_own_gateway",
        "connects to a service of the host",
        Role::Control,
        to_host,
    );
    let gateway = match to_host {
        true => gateway,
        // Hardened: what the host offers is opened port by port.
        false => Trial {
            outcome: Outcome::NotTried,
            reason: "the host's services are closed to containers here".into(),
            ..gateway
        },
    };
    let control = |name, tries, arrived| trial(name, tries, Role::Control, arrived);
    Ok(vec![
        control("tcp_to_neighbour", "connects to a neighbour", neighbour),
        control(
            "tcp_from_host",
            "connects from the host to a container",
            from_host,
        ),
        gateway,
    ])
}

/// Services of the host at gateways that are not the attacker's to name.
struct Services {
    other: TcpListener,
    within: TcpListener,
}

impl Services {
    fn open(ground: &Ground) -> Result<Self, Error> {
        Ok(Self {
            other: listen(&ground.stranger)?,
            within: listen(&ground.inner)?,
        })
    }
}

/// Who connects to what: a line each; `None` where there is no IPv6.
type Connection<'a> = (&'static str, &'static str, &'a Fighter, Option<SocketAddr>);

fn hostile_connections<'a>(ground: &'a Ground, services: &Services) -> Vec<Connection<'a>> {
    let (me, victim, stranger) = (&ground.attacker, &ground.victim, &ground.stranger);
    let (inner, [one, two]) = (&ground.inner, &ground.quiet);
    let at = |listener: &TcpListener| listener.local_addr().ok();
    let of = |fighter| Some(service(fighter));
    let of6 = |fighter: &Fighter| Some(SocketAddr::new(fighter.stand.v6?.into(), SERVICE));
    vec![
        (
            "tcp_cross_network",
            "connects to a container of another network",
            me,
            of(stranger),
        ),
        (
            "tcp_cross_network_ipv6",
            "the same over IPv6",
            me,
            of6(stranger),
        ),
        (
            "tcp_other_gateway",
            "connects to the host by another network's gateway",
            me,
            at(&services.other),
        ),
        (
            "tcp_without_icc",
            "connects to a neighbour without icc",
            one,
            of(two),
        ),
        ("tcp_without_icc_ipv6", "the same over IPv6", one, of6(two)),
        (
            "tcp_internal_to_host",
            "connects from an internal network to the host",
            inner,
            at(&services.within),
        ),
        (
            "tcp_internal_to_other",
            "connects from an internal network to another",
            inner,
            of(victim),
        ),
        (
            "tcp_into_internal",
            "connects into an internal network",
            me,
            of(inner),
        ),
    ]
}

fn service(fighter: &Fighter) -> SocketAddr {
    SocketAddr::new(fighter.stand.v4.into(), SERVICE)
}

/// A service of the host, at a gateway's address.
fn listen(fighter: &Fighter) -> Result<TcpListener, Error> {
    let listener = TcpListener::bind((fighter.gateway().v4, 0));
    listener.map_err(|error| Error::Kernel(format!("no service at a gateway: {error}")))
}

/// A container that has just started may not listen yet.
fn eventually(from: &Fighter, to: SocketAddr) -> Result<bool, Error> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let open = on(&from.netns, || {
            TcpStream::connect_timeout(&to, CONNECTING).is_ok()
        })?;
        if open {
            return Ok(true);
        }
        sleep(PAUSE);
    }
    Ok(false)
}

fn on<T: Send>(netns: &Netns, run: impl FnOnce() -> T + Send) -> Result<T, Error> {
    Ok(netns.on(run)?)
}

/// A refusal is an answer, too: the packet arrived.
fn connects(to: SocketAddr) -> bool {
    match TcpStream::connect_timeout(&to, CONNECTING) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::ConnectionRefused,
    }
}

fn trial(name: &str, tries: &str, role: Role, arrived: bool) -> Trial {
    Trial {
        name: name.to_owned(),
        tries: tries.to_owned(),
        role,
        outcome: match arrived {
            true => Outcome::Arrived,
            false => Outcome::Blocked,
        },
        reason: String::new(),
    }
}

fn not_tried(attack: &Attack, prefix: &str, reason: &str) -> Trial {
    Trial {
        outcome: Outcome::NotTried,
        reason: reason.to_owned(),
        ..trial(
            &format!("{prefix}{}", attack.name),
            attack.tries,
            Role::Attack,
            false,
        )
    }
}
