//! Who may do what in the example broker: a password file and a list of topic rules.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use mqtt_codec::{Connect, Publish, ReasonCode, Subscription};
use mqtt_session::broker::{Acl, Admission, Client, ConnectionId, Policy, Ticket};

use super::users::Users;

/// Most passwords that wait to be checked. Who comes then is told that the broker is busy.
const MAX_WAITING: usize = 1024;

/// Who may do what.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Rules {
    /// Who may connect with which password. `None`: everybody, by any name.
    pub users: Option<Users>,
    /// Whether clients without a user name may connect.
    pub allow_anonymous: bool,
    /// Who may use which topics. `None`: everybody all.
    pub acl: Option<Acl>,
}

/// A [`Policy`] of [`Rules`]. Passwords are checked on threads of their own, as that takes long on
/// purpose, and the broker's thread must not wait for it.
pub struct Access {
    rules: Arc<Rules>,
    /// Those before.
    earlier: Arc<Rules>,
    /// Which of the rules these are.
    generation: u64,
    shared: Arc<Shared>,
}

/// Puts other rules in place of those of an [`Access`].
#[derive(Clone)]
pub struct AccessHandle(Arc<Shared>);

struct Shared {
    generation: AtomicU64,
    rules: Mutex<Arc<Rules>>,
    jobs: Mutex<Jobs>,
    more: Condvar,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    /// Whether nobody asks any more.
    ended: bool,
}

/// A password to check.
struct Job {
    ticket: Ticket,
    name: String,
    password: Vec<u8>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl fmt::Debug for AccessHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessHandle").finish_non_exhaustive()
    }
}

/// What a thread that panicked has left is whole: nothing is changed in more than one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Access {
    /// The policy, and what changes its rules. `answer` is called on other threads, for
    /// [`Broker::resolve`](mqtt_session::broker::Broker::resolve) on the broker's.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub fn new(
        rules: Rules,
        threads: usize,
        answer: impl Fn(Ticket, Admission) + Send + Sync + 'static,
    ) -> io::Result<(Self, AccessHandle)> {
        let rules = Arc::new(rules);
        let shared = Arc::new(Shared {
            generation: AtomicU64::new(0),
            rules: Mutex::new(Arc::clone(&rules)),
            jobs: Mutex::default(),
            more: Condvar::new(),
        });
        let earlier = Arc::clone(&rules);
        let this = Self { rules, earlier, generation: 0, shared: Arc::clone(&shared) };
        let answer = Arc::new(answer);
        for _ in 0..threads.max(1) {
            let (shared, answer) = (Arc::clone(&shared), Arc::clone(&answer));
            thread::Builder::new().name("passwords".into()).spawn(move || {
                while let Some(job) = shared.next_job() {
                    shared.judge(&job, &*answer);
                }
            })?;
        }
        Ok((this, AccessHandle(shared)))
    }

    /// The rules as they are now.
    fn rules(&mut self) -> &Rules {
        let generation = self.shared.generation.load(Ordering::Acquire);
        if generation != self.generation {
            self.generation = generation;
            let now = Arc::clone(&lock(&self.shared.rules));
            self.earlier = core::mem::replace(&mut self.rules, now);
        }
        &self.rules
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        lock(&self.shared.jobs).ended = true;
        self.shared.more.notify_all();
    }
}

impl AccessHandle {
    /// From now on these rules hold for what clients ask for. For what they have already,
    /// [`Control::reconsider`](super::Control::reconsider) is to be called.
    pub fn replace(&self, rules: Rules) {
        *lock(&self.0.rules) = Arc::new(rules);
        self.0.generation.fetch_add(1, Ordering::Release);
    }
}

impl Shared {
    /// Waits for a password to check; `None` at the end.
    fn next_job(&self) -> Option<Job> {
        let mut jobs = lock(&self.jobs);
        loop {
            if jobs.ended {
                return None;
            }
            if let Some(job) = jobs.waiting.pop_front() {
                return Some(job);
            }
            jobs = self.more.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Answers by the rules of now: those of before may have let somebody in who may not stay.
    fn judge(&self, job: &Job, answer: impl Fn(Ticket, Admission)) {
        loop {
            let rules = Arc::clone(&lock(&self.rules));
            let admission = job.check(&rules);
            // Who replaces them from here on finds that it is answered, and looks at who may stay.
            let now = lock(&self.rules);
            if Arc::ptr_eq(&now, &rules) {
                return answer(job.ticket, admission);
            }
        }
    }

    /// Nobody waits any more for what this connection has asked.
    fn drop_jobs(&self, connection: ConnectionId) {
        lock(&self.jobs).waiting.retain(|job| job.ticket.connection() != connection);
    }

    fn add_job(&self, job: Job) -> Admission {
        let mut jobs = lock(&self.jobs);
        if jobs.waiting.len() >= MAX_WAITING {
            return Admission::Refuse(ReasonCode::ServerBusy);
        }
        jobs.waiting.push_back(job);
        self.more.notify_one();
        Admission::Later
    }
}

impl Job {
    fn check(&self, rules: &Rules) -> Admission {
        let users = rules.users.as_ref();
        match users.is_none_or(|users| users.verify(&self.name, &self.password)) {
            true => Admission::Allow,
            false => Admission::Refuse(ReasonCode::BadUserNameOrPassword),
        }
    }
}

impl Policy for Access {
    fn connect(&mut self, client: Client<'_>, connect: &Connect<'_>) -> Admission {
        if client.is_bridge {
            return Admission::Allow;
        }
        let rules = self.rules();
        match (client.user_name, connect.password) {
            (Some(_), _) if client.is_proven || rules.users.is_none() => Admission::Allow,
            (Some(name), Some(password)) => {
                let (name, password) = (name.to_owned(), password.to_vec());
                self.shared.add_job(Job { ticket: client.ticket, name, password })
            }
            (Some(_), None) => Admission::Refuse(ReasonCode::BadUserNameOrPassword),
            (None, _) if rules.allow_anonymous => Admission::Allow,
            (None, _) => Admission::Refuse(ReasonCode::NotAuthorized),
        }
    }

    /// Who may still come by the same password, or without one.
    fn may_stay(&mut self, client: Client<'_>) -> bool {
        self.rules();
        let (users, earlier) = (self.rules.users.as_ref(), self.earlier.users.as_ref());
        match client.user_name {
            _ if client.is_proven => true,
            Some(name) => users.is_none_or(|users| users.has_same(name, earlier)),
            None => self.rules.allow_anonymous,
        }
    }

    fn abandoned(&mut self, connection: ConnectionId) {
        self.shared.drop_jobs(connection);
    }

    /// What a session has subscribed to is for its user, and other rules hold for others. Where anybody
    /// may take any name there is nothing to protect.
    fn take_over(&mut self, client: Client<'_>, owner: Option<&str>) -> bool {
        let names_count = client.is_proven || self.rules().users.is_some();
        !names_count
            || client.is_bridge
            || owner.is_none_or(|owner| client.user_name == Some(owner))
    }

    fn publish(&mut self, client: Client<'_>, publish: &Publish<'_>) -> Admission {
        let acl = self.rules().acl.as_ref();
        let allows = |acl: &Acl| acl.may_publish(client.id, client.user_name, publish.topic);
        allowed(client.is_bridge || acl.is_none_or(allows))
    }

    fn subscribe(&mut self, client: Client<'_>, subscription: &Subscription<'_>) -> Admission {
        let acl = self.rules().acl.as_ref();
        let filter = subscription.filter;
        let allows = |acl: &Acl| acl.may_subscribe(client.id, client.user_name, filter);
        allowed(client.is_bridge || acl.is_none_or(allows))
    }
}

const fn allowed(yes: bool) -> Admission {
    if yes { Admission::Allow } else { Admission::Refuse(ReasonCode::NotAuthorized) }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;
    use core::time::Duration;
    use std::sync::mpsc::{self, Receiver};

    use mqtt_session::broker::{
        Acl, Admission, Broker, Config, ConnectionId, Outputs, Received, Ticket,
    };
    use mqtt_session::{Instant, Transmit};

    use super::super::users::Users;
    use super::{Access, AccessHandle, Rules, lock};

    const NOW: Instant = Instant::from_millis(0);

    /// What goes out on all connections.
    struct All(Vec<u8>);

    impl Outputs for All {
        fn transmit(&mut self, _: ConnectionId) -> &mut dyn Transmit {
            &mut self.0
        }

        fn close(&mut self, _: ConnectionId) {}
    }

    struct Door {
        broker: Broker,
        answers: Receiver<(Ticket, Admission)>,
        handle: AccessHandle,
    }

    impl Door {
        fn new(rules: Rules) -> Self {
            let (sender, answers) = mpsc::channel();
            let answer = move |ticket, admission| sender.send((ticket, admission)).unwrap();
            let (access, handle) = Access::new(rules, 2, answer).unwrap();
            let broker = Broker::with_policy(Config::default(), Box::new(access));
            Self { broker, answers, handle }
        }

        /// CONNECT of 3.1.1 with these fields behind the client identifier, then what is behind it: all
        /// that the broker says.
        fn says(&mut self, name: &str, password: Option<&str>, behind: &[u8]) -> Vec<u8> {
            let mut body = b"\0\x04MQTT\x04".to_vec();
            let user = if name.is_empty() { 0 } else { 0x80 };
            body.push(0x02 | user | if password.is_some() { 0x40 } else { 0 });
            body.extend_from_slice(b"\0\0\0\x01c");
            for text in [Some(name).filter(|name| !name.is_empty()), password].into_iter().flatten()
            {
                body.extend_from_slice(&[0, text.len() as u8]);
                body.extend_from_slice(text.as_bytes());
            }
            let mut packets = vec![0x10, body.len() as u8];
            packets.extend(body);
            packets.extend_from_slice(behind);
            let mut out = All(Vec::new());
            let id = self.broker.open(NOW).unwrap();
            let mut rx = &packets[..];
            if self.broker.receive(NOW, id, &mut rx, &mut out) == Received::Waiting {
                let wait = Duration::from_secs(60);
                let (ticket, admission) = self.answers.recv_timeout(wait).unwrap();
                self.broker.resolve(NOW, ticket, admission, &mut out);
                let _ = self.broker.receive(NOW, id, &mut rx, &mut out);
            }
            out.0
        }
    }

    const ACCEPTED: [u8; 4] = [0x20, 2, 0, 0];
    const BAD_PASSWORD: [u8; 4] = [0x20, 2, 0, 4];
    const NOT_AUTHORIZED: [u8; 4] = [0x20, 2, 0, 5];

    #[test]
    fn passwords_are_checked_beside_the_broker_and_rules_change_while_it_runs() {
        let line = Users::line("ann", b"secret").unwrap();
        let users = Some(Users::parse(&line).unwrap());
        let acl = Some(Acl::parse("user ann\ntopic read a/%u").unwrap());
        let mut door = Door::new(Rules { users, acl, ..Rules::default() });
        assert_eq!(door.says("ann", Some("secret"), b""), ACCEPTED);
        assert_eq!(door.says("ann", Some("Secret"), b""), BAD_PASSWORD);
        assert_eq!(door.says("bob", Some("secret"), b""), BAD_PASSWORD);
        assert_eq!(door.says("ann", None, b""), BAD_PASSWORD);
        assert_eq!(door.says("", None, b""), NOT_AUTHORIZED);
        // %u is a name in a pattern only.
        let subscribe = b"\x82\x09\0\x01\0\x04a/%u\0\x82\x0A\0\x02\0\x05a/ann\0";
        let told = [&ACCEPTED[..], &[0x90, 3, 0, 1, 0, 0x90, 3, 0, 2, 0x80]].concat();
        assert_eq!(door.says("ann", Some("secret"), subscribe), told);
        door.handle.replace(Rules { allow_anonymous: true, ..Rules::default() });
        assert_eq!(door.says("", None, b""), ACCEPTED);
        assert_eq!(door.says("anybody", Some("x"), b""), ACCEPTED);
    }

    #[test]
    fn who_is_a_user_no_more_or_by_another_password_may_not_stay() {
        let line = |name: &str| Users::line(name, b"secret").unwrap();
        let (ann, bob) = (line("ann"), line("bob"));
        let rules = |lines: &[&str], allow_anonymous| Rules {
            users: Some(Users::parse(&lines.join("\n")).unwrap()),
            allow_anonymous,
            ..Rules::default()
        };
        let first = || rules(&[&ann, &bob], true);
        let later = [
            (first(), 0, 0),
            (rules(&[&line("ann"), &bob], true), 1, 0),
            (rules(&[&bob], true), 1, 0),
            (rules(&[&ann], false), 0, 1),
            (Rules::default(), 0, 1),
        ];
        for (rules, named, nameless) in later {
            for (name, password, ended) in [("ann", Some("secret"), named), ("", None, nameless)] {
                let mut door = Door::new(first());
                assert_eq!(door.says(name, password, b""), ACCEPTED);
                door.handle.replace(rules.clone());
                for ended in [ended, 0] {
                    let mut out = All(Vec::new());
                    assert_eq!(door.broker.reconsider(NOW, &mut out).connections, ended, "{name}");
                }
            }
        }
    }

    /// To check one takes long.
    #[test]
    fn a_password_that_is_being_checked_when_rules_change_is_judged_by_those_of_then() {
        let line = Users::line("ann", b"secret").unwrap();
        let users = |line: &str| Some(Users::parse(line).unwrap());
        let rules = |users| Rules { users, ..Rules::default() };
        let (sender, answers) = mpsc::channel();
        let answer = move |ticket, admission| sender.send((ticket, admission)).unwrap();
        let (access, handle) = Access::new(rules(users(&line)), 1, answer).unwrap();
        let mut broker = Broker::with_policy(Config::default(), Box::new(access));
        let mut out = All(Vec::new());
        for _ in 0..10 {
            let id = broker.open(NOW).unwrap();
            let mut rx = &b"\x10\x1A\0\x04MQTT\x04\xC2\0\0\0\x01c\0\x03ann\0\x06secret"[..];
            assert_eq!(broker.receive(NOW, id, &mut rx, &mut out), Received::Waiting);
            // It has begun once nothing waits.
            while !lock(&handle.0.jobs).waiting.is_empty() {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(1));
            handle.replace(rules(users("")));
            // What was answered before is looked at by who has changed them.
            let early = answers.try_recv().is_ok();
            if !early {
                let (_, admission) = answers.recv_timeout(Duration::from_secs(60)).unwrap();
                assert!(matches!(admission, Admission::Refuse(_)), "{admission:?}");
            }
            handle.replace(rules(users(&line)));
        }
    }

    #[test]
    fn passwords_of_clients_that_have_gone_are_not_checked() {
        let users = Some(Users::parse(&Users::line("ann", b"secret").unwrap()).unwrap());
        let (access, _) = Access::new(Rules { users, ..Rules::default() }, 1, |_, _| {}).unwrap();
        let shared = Arc::clone(&access.shared);
        let mut broker = Broker::with_policy(Config::default(), Box::new(access));
        let mut out = All(Vec::new());
        for n in 0..200 {
            let id = broker.open(NOW).unwrap();
            let mut rx = &b"\x10\x14\0\x04MQTT\x04\xC2\0\0\0\x01c\0\x03ann\0\0"[..];
            assert_eq!(broker.receive(NOW, id, &mut rx, &mut out), Received::Waiting, "{n}");
            broker.closed(NOW, id, &mut out);
            assert_eq!(lock(&shared.jobs).waiting.len(), 0);
        }
    }

    #[test]
    fn a_session_is_for_its_user_and_a_client_without_name_cannot_keep_it_from_one() {
        let lines = [Users::line("ann", b"a").unwrap(), Users::line("bob", b"b").unwrap()];
        let users = Some(Users::parse(&lines.join("\n")).unwrap());
        let mut door = Door::new(Rules { users, allow_anonymous: true, ..Rules::default() });
        assert_eq!(door.says("", None, b""), ACCEPTED);
        // All of them are client c, and none of them goes.
        assert_eq!(door.says("ann", Some("a"), b""), ACCEPTED);
        assert_eq!(door.says("bob", Some("b"), b""), NOT_AUTHORIZED);
        assert_eq!(door.says("", None, b""), NOT_AUTHORIZED);
        assert_eq!(door.says("ann", Some("a"), b"\xC0\0"), [&ACCEPTED[..], &[0xD0, 0]].concat());
    }
}
