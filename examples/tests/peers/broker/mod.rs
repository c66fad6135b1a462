//! Brokers, seen from clients that nobody here wrote.
//!
//! A scenario is a function of the broker's address. Each runs against mosquitto, which proves
//! that the scenario itself is right, and against the broker of this repository.
//!
//! That something does *not* arrive is never shown by waiting: a later message, which must
//! arrive, arrives next.

mod delivery;
mod handshakes;
mod properties;
mod refusals;
mod retained;
mod sessions;
mod v5;

use core::net::SocketAddr;

use crate::support::Server;

/// Returns `None` when a peer it needs is missing.
type Scenario = fn(SocketAddr) -> Option<()>;

fn run(server: Option<Server>, scenario: Scenario) {
    if let Some(server) = server {
        let _ = scenario(server.address());
    }
}

/// One test for each scenario and server.
macro_rules! scenarios {
    ({ $($server:ident: $start:expr;)+ } $scenarios:tt) => {
        $(scenarios!(@server $server $start, $scenarios);)+
    };
    (@server $server:ident $start:expr, { $($module:ident: $($name:ident)+;)+ }) => {
        mod $server {
            use super::Server;

            $($(
                #[test]
                fn $name() {
                    super::run($start, super::$module::$name);
                }
            )+)+
        }
    };
}

scenarios! {
    {
        mosquitto: Server::mosquitto();
        motewire: Server::motewire();
    }
    {
        delivery:
            every_v311_client_hears_every_v311_client
            every_v311_client_hears_every_v5_client
            every_v5_client_hears_every_v311_client
            every_v5_client_hears_every_v5_client
            a_message_goes_out_with_the_lower_of_the_two_qos
            wildcards_match_whole_levels
            wildcards_at_the_start_do_not_match_dollar_topics
            messages_stop_after_unsubscribe
            a_large_message_arrives_unchanged;
        handshakes:
            a_repeated_qos_2_publish_is_delivered_once
            what_was_not_acknowledged_comes_again_with_dup_after_a_reconnect
            after_a_pubrec_only_the_pubrel_comes_again
            a_ping_is_answered
            a_silent_client_is_dropped_after_one_and_a_half_keep_alives
            an_empty_client_identifier_gets_one_assigned;
        retained:
            a_retained_message_is_for_late_subscribers_until_it_is_cleared
            a_retained_message_is_replaced_by_the_next;
        sessions:
            a_session_kept_across_a_reconnect_has_queued_what_came
            a_clean_session_forgets_its_subscriptions
            the_will_is_published_when_a_client_is_killed
            the_will_is_dropped_by_a_disconnect
            a_second_client_of_the_same_name_takes_over;
        properties:
            properties_of_a_message_are_forwarded
            messages_expire_while_they_wait;
        refusals:
            a_first_packet_that_is_not_connect_is_refused
            a_second_connect_closes_the_connection
            a_malformed_packet_closes_only_its_own_connection
            v5_clients_are_told_what_was_wrong
            a_connect_with_an_unknown_protocol_level_is_refused;
    }
}

// What MQTT 5.0 adds for a client to ask.
scenarios! {
    {
        mosquitto_v5: Server::mosquitto();
        motewire_v5: Server::motewire();
    }
    {
        v5:
            no_local_keeps_a_message_from_its_publisher
            retain_handling_decides_what_a_subscription_brings
            retain_as_published_keeps_the_flag
            subscription_identifiers_come_with_each_message
            a_shared_subscription_gives_each_message_to_one_member
            no_more_than_receive_maximum_messages_are_on_their_way
            a_message_above_the_maximum_packet_size_is_not_sent
            a_topic_alias_stands_for_the_topic_it_was_sent_with
            a_will_waits_for_its_delay
            a_will_is_dropped_when_the_client_returns_in_time
            a_session_ends_with_its_expiry_interval;
    }
}

// What the specifications ask for, and mosquitto 2.0 does not do.
scenarios! {
    {
        motewire_alone: Server::motewire();
    }
    {
        sessions:
            a_v5_client_is_told_that_its_session_was_taken_over;
        refusals:
            what_other_brokers_let_pass_is_refused
            v5_clients_are_told_in_every_case
            a_second_v5_connect_is_called_a_protocol_error;
    }
}
