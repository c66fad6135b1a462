//! Whether a client is let in: the policy, which may answer later, and enhanced authentication
//! (section 4.12).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use mqtt_codec::{
    Auth, ConnAck, Connect, Disconnect, Packet, PacketType, Property, Publish, ReasonCode, Rules,
    Sender, Text, Version, Will,
};

use super::deferred::Ticket;
use super::notice::{Cause, Notice};
use super::policy::{Admission, Client};
use super::{Broker, ConnectionId, Outputs};
use crate::{Instant, Mechanism};

/// Most bytes of Authentication Data that a mechanism answers with.
const MAX_DATA: usize = 4096;

/// How CONNECT is kept. It names its own version.
const RULES: Rules = Rules::new(Version::V5, Sender::Client);

/// A client that is not let in yet.
#[derive(Debug)]
pub(crate) struct Pending {
    /// CONNECT.
    packet: Vec<u8>,
    /// The client identifier that it was given.
    assigned: Option<String>,
    /// What the policy has not answered.
    undecided: Option<u32>,
    /// What is wrong with its will, which only the client itself is told, once it has proved its name.
    refused: Option<ReasonCode>,
}

impl Pending {
    /// Whether the policy has not answered.
    pub(super) const fn is_undecided(&self) -> bool {
        self.undecided.is_some()
    }

    /// How many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        self.packet.len()
    }

    /// The client identifier of CONNECT, or the assigned one.
    fn client_id(&self) -> &str {
        match (&self.assigned, RULES.decode(&mut &self.packet[..])) {
            (Some(assigned), _) => assigned,
            (None, Ok(Some(Packet::Connect(connect)))) => connect.client_id.as_str(),
            _ => "",
        }
    }
}

/// The enhanced authentication of a connection.
pub(crate) struct Authentication {
    method: Box<str>,
    /// While an exchange goes on.
    mechanism: Option<Box<dyn Mechanism + Send>>,
    /// What the mechanism said last, for CONNACK.
    data: Vec<u8>,
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication").field("method", &self.method).finish_non_exhaustive()
    }
}

impl Broker {
    pub(super) fn on_connect(
        &mut self,
        now: Instant,
        id: ConnectionId,
        connect: &Connect<'_>,
        out: &mut dyn Outputs,
    ) {
        if self.refuses {
            let reason = ReasonCode::ServerUnavailable;
            return self.reject(now, id, connect.client_id.as_str(), reason, out);
        }
        let (identity, is_proven, is_bridge) = match self.connections.get_mut(id.0) {
            Some(c) => (c.take_rare(|rare| rare.identity.take()), c.is_proven, c.is_bridge),
            None => return,
        };
        let user_name = identity.as_deref().map(Text::new).or(connect.user_name);
        let connect = &Connect { user_name, ..*connect };
        let assigned = match self.client_id(id, connect) {
            Ok(assigned) => assigned,
            Err(reason) => return self.reject(now, id, connect.client_id.as_str(), reason, out),
        };
        let client_id = assigned.as_deref().unwrap_or(connect.client_id.as_str());
        let ticket = self.ticket(id);
        let user_name = user_name.map(Text::as_str);
        let client = Client { id: client_id, user_name, is_proven, is_bridge, ticket };
        let (admission, refused) = self.admit(client, connect);
        let undecided = match admission {
            Admission::Allow | Admission::AllowUpTo(_) => None,
            Admission::Later => Some(ticket.number),
            Admission::Refuse(reason) => {
                return self.reject(now, id, client_id, reason, out);
            }
        };
        let method = connect.properties.authentication_method();
        if method.is_none() && undecided.is_none() {
            return self.let_in(now, id, connect, assigned.as_deref(), &[], out);
        }
        let authentication = match method {
            None => None,
            Some(method) => match self.policy.mechanism(client, method) {
                // [MQTT-4.12.0-1]
                None => {
                    let reason = ReasonCode::BadAuthenticationMethod;
                    return self.reject(now, id, client_id, reason, out);
                }
                Some(mechanism) => Some(Authentication {
                    method: method.into(),
                    mechanism: Some(mechanism),
                    data: Vec::new(),
                }),
            },
        };
        let mut packet = Vec::new();
        let kept = RULES.encode_to_vec(&Packet::Connect(*connect), &mut packet);
        let Some(connection) = self.connections.get_mut(id.0).filter(|_| kept.is_ok()) else {
            return self.reject(
                now,
                id,
                connect.client_id.as_str(),
                ReasonCode::UnspecifiedError,
                out,
            );
        };
        let bytes = self.deferred_bytes.saturating_add(packet.len());
        if bytes > self.config.max_deferred_bytes {
            return self.reject(now, id, client_id, ReasonCode::ServerBusy, out);
        }
        self.deferred_bytes = bytes;
        connection.asked = connection.asked.wrapping_add(u32::from(undecided.is_some()));
        let rare = connection.rare_mut();
        rare.pending = Some(Pending { packet, assigned, undecided, refused });
        rare.authentication = authentication;
        if method.is_some() {
            self.authenticate(now, id, connect.properties.authentication_data(), out);
        }
    }

    /// Whether this client may be let in, apart from enhanced authentication. Nothing that an earlier
    /// connection of it would notice has been done yet. With [`Admission::Later`], or an exchange of
    /// enhanced authentication before it, what it is refused with all the same because of its will: who
    /// has yet to prove its name does not learn what is allowed to whose name that is.
    fn admit(
        &mut self,
        client: Client<'_>,
        connect: &Connect<'_>,
    ) -> (Admission, Option<ReasonCode>) {
        let admission = self.policy.connect(client, connect);
        let Some(will) = &connect.will else { return (admission, None) };
        match (admission, self.admit_will(client, will)) {
            (Admission::Later, Admission::Refuse(reason)) => (Admission::Later, Some(reason)),
            (Admission::Allow | Admission::AllowUpTo(_), Admission::Refuse(reason))
                if connect.properties.authentication_method().is_some() =>
            {
                (Admission::Allow, Some(reason))
            }
            (Admission::Refuse(reason), _) | (_, Admission::Refuse(reason)) => {
                (Admission::Refuse(reason), None)
            }
            (Admission::Later, _) | (_, Admission::Later) => (Admission::Later, None),
            _ => (Admission::Allow, None),
        }
    }

    /// Whether this client may have this will.
    fn admit_will(&mut self, client: Client<'_>, will: &Will<'_>) -> Admission {
        if will.qos > self.config.maximum_qos {
            return Admission::Refuse(ReasonCode::QoSNotSupported); // [MQTT-3.2.2-12]
        }
        if will.retain && !self.config.retain_available {
            return Admission::Refuse(ReasonCode::RetainNotSupported); // [MQTT-3.2.2-13]
        }
        if let Err(reason) = self.config.check_topic(will.topic) {
            return Admission::Refuse(reason);
        }
        let publish = Publish {
            qos: will.qos,
            retain: will.retain,
            ..Publish::new(will.topic, will.payload)
        };
        self.policy.publish(client, &publish)
    }

    /// The answer about a client that waits to be let in; `false` if it is not about that.
    pub(super) fn decide(
        &mut self,
        now: Instant,
        ticket: Ticket,
        answer: Admission,
        out: &mut dyn Outputs,
    ) -> bool {
        let id = ticket.connection;
        let connection = self.connections.get_mut(id.0);
        let rare = connection.and_then(|c| c.rare.as_mut());
        let Some(pending) = rare.and_then(|rare| rare.pending.as_mut()) else { return false };
        if pending.undecided != Some(ticket.number) {
            return false;
        }
        pending.undecided = None;
        match answer.refused() {
            None => self.let_in_if_ready(now, id, out),
            Some(reason) => self.refuse(now, id, reason, out),
        }
        true
    }

    pub(super) fn on_auth(
        &mut self,
        now: Instant,
        id: ConnectionId,
        auth: &Auth<'_>,
        out: &mut dyn Outputs,
    ) {
        if auth.reason == ReasonCode::ReAuthenticate {
            let ticket = self.ticket(id);
            let Some(connection) = self.connections.get_mut(id.0) else { return };
            let session = connection.session.and_then(|key| self.sessions.get(key));
            if let (Some(session), Some(authentication)) =
                (session, connection.authentication_mut())
            {
                authentication.mechanism =
                    self.policy.mechanism(session.client(ticket), &authentication.method);
            }
        }
        self.authenticate(now, id, auth.properties.authentication_data(), out);
    }

    /// The mechanism takes a step.
    fn authenticate(
        &mut self,
        now: Instant,
        id: ConnectionId,
        received: Option<&[u8]>,
        out: &mut dyn Outputs,
    ) {
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        let authentication = connection.rare.as_mut().and_then(|rare| rare.authentication.as_mut());
        let mechanism = authentication.and_then(|a| a.mechanism.as_mut());
        let Some(mechanism) = mechanism else {
            return self.refuse(now, id, ReasonCode::NotAuthorized, out);
        };
        let mut buffer = [0; MAX_DATA];
        match mechanism.answer(received, &mut buffer) {
            // [MQTT-4.12.0-2]
            Ok((false, properties)) => {
                let properties = properties[..].into();
                let auth = Auth { reason: ReasonCode::ContinueAuthentication, properties };
                let mut tx = self.statistics.sent.counting(out.transmit(id));
                if connection.link.auth(now, &auth, &mut tx).is_err() {
                    self.refuse(now, id, ReasonCode::NotAuthorized, out);
                }
            }
            Ok((true, properties)) if connection.session.is_some() => {
                let properties = properties[..].into();
                let auth = Auth { reason: ReasonCode::Success, properties };
                let mut tx = self.statistics.sent.counting(out.transmit(id));
                let sent = connection.link.auth(now, &auth, &mut tx);
                if let Some(authentication) = connection.authentication_mut() {
                    authentication.mechanism = None;
                }
                if sent.is_err() {
                    self.refuse(now, id, ReasonCode::NotAuthorized, out);
                }
            }
            Ok((true, [_, data])) => {
                let data = match data {
                    Property::AuthenticationData(data) => data.to_vec(),
                    _ => Vec::new(),
                };
                if let Some(authentication) = connection.authentication_mut() {
                    authentication.mechanism = None;
                    authentication.data = data;
                }
                self.let_in_if_ready(now, id, out);
            }
            // [MQTT-4.12.0-4], [MQTT-4.12.1-2]
            Err(reason) => self.refuse(now, id, reason, out),
        }
    }

    /// The client is let in once the policy and the mechanism agree.
    fn let_in_if_ready(&mut self, now: Instant, id: ConnectionId, out: &mut dyn Outputs) {
        if self.refuses {
            return self.refuse(now, id, ReasonCode::ServerUnavailable, out);
        }
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        let authenticates = connection.authentication_mut().is_some_and(|a| a.mechanism.is_some());
        let ready = |pending: &mut Pending| !pending.is_undecided() && !authenticates;
        let pending = connection.take_rare(|rare| rare.pending.take_if(ready));
        let Some(pending) = pending else { return };
        self.deferred_bytes = self.deferred_bytes.saturating_sub(pending.bytes());
        if let Some(reason) = pending.refused {
            return self.reject(now, id, pending.client_id(), reason, out);
        }
        let (method, data) = match connection.authentication_mut() {
            Some(a) => (Some(a.method.clone()), core::mem::take(&mut a.data)),
            None => (None, Vec::new()),
        };
        let mut properties = Vec::new();
        properties.extend(method.as_deref().map(Property::AuthenticationMethod));
        if method.is_some() && !data.is_empty() {
            properties.push(Property::AuthenticationData(&data));
        }
        match RULES.decode(&mut &pending.packet[..]) {
            Ok(Some(Packet::Connect(connect))) => {
                self.let_in(now, id, &connect, pending.assigned.as_deref(), &properties, out);
            }
            _ => self.reject(now, id, "", ReasonCode::UnspecifiedError, out),
        }
    }

    /// Refuses a client with CONNACK, or one that is connected with DISCONNECT.
    fn refuse(
        &mut self,
        now: Instant,
        id: ConnectionId,
        reason: ReasonCode,
        out: &mut dyn Outputs,
    ) {
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        if connection.session.is_none() {
            let pending = connection.take_rare(|rare| rare.pending.take());
            let client_id = pending.as_ref().map_or("", |pending| pending.client_id());
            let bytes = pending.as_ref().map_or(0, Pending::bytes);
            if pending.as_ref().is_some_and(Pending::is_undecided) {
                self.policy.abandoned(id);
            }
            self.deferred_bytes = self.deferred_bytes.saturating_sub(bytes);
            return self.reject(now, id, client_id, reason, out);
        }
        self.disconnect(now, id, or_unspecified(reason, PacketType::Disconnect), out);
    }

    /// Refuses a client with CONNACK. Where 3.1.1 has no code for it, the connection is closed without
    /// one.
    pub(super) fn reject(
        &mut self,
        now: Instant,
        id: ConnectionId,
        client_id: &str,
        reason: ReasonCode,
        out: &mut dyn Outputs,
    ) {
        out.notice(id, &Notice::Refused { client_id, reason });
        if let Some(connection) = self.connections.get_mut(id.0) {
            let connack = ConnAck::new(or_unspecified(reason, PacketType::ConnAck));
            let mut tx = self.statistics.sent.counting(out.transmit(id));
            // Without room the connection is closed all the same.
            let _ = connection.link.reject(&connack, &mut tx);
            self.statistics.connects_refused += 1;
        }
        self.end(now, id.0, false, out);
    }

    /// Says goodbye to a client, which version 5 can, and closes its connection.
    pub fn disconnect(
        &mut self,
        now: Instant,
        id: ConnectionId,
        reason: ReasonCode,
        out: &mut dyn Outputs,
    ) {
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        let mut tx = self.statistics.sent.counting(out.transmit(id));
        // Without room the connection is closed all the same.
        let _ = connection.link.disconnect(&Disconnect::new(reason), &mut tx);
        self.tell_end(id, Cause::Broker(reason), out);
        self.end(now, id.0, true, out);
    }
}

/// This code of failure, if a server may send it in this packet.
pub(super) const fn or_unspecified(reason: ReasonCode, packet: PacketType) -> ReasonCode {
    if reason.is_failure() && reason.is_allowed(packet, Sender::Server) {
        reason
    } else {
        ReasonCode::UnspecifiedError
    }
}
