//! What other libraries get wrong, one test a packet: each deviates in one thing from a good packet,
//! or is good and was refused. All of it comes from measuring eighteen libraries; the name of the
//! test says what is wrong, and for which version where both have one.

mod common;

use common::hex;
use mqtt_codec::{Rules, Sender, Version, Violation};

/// One test a row: name, version, sender, bytes, and the rule that is broken, or `ok`.
macro_rules! packets {
    ($($(#[$doc:meta])* $name:ident: $version:ident $sender:ident $bytes:literal => $verdict:ident;)*) => {
        $($(#[$doc])* #[test] fn $name() {
            check(Rules::new(Version::$version, Sender::$sender), $bytes, packets!(@ $verdict));
        })*
    };
    (@ ok) => { None };
    (@ $violation:ident) => { Some(Violation::$violation) };
}

fn check(rules: Rules, text: &str, expected: Option<Violation>) {
    let bytes = hex(&text.replace(' ', ""));
    let mut rest = &bytes[..];
    match rules.decode(&mut rest) {
        Ok(Some(packet)) => {
            assert_eq!(expected, None, "{packet:?}");
            assert!(rest.is_empty());
        }
        Ok(None) => panic!("it waits for more bytes"),
        Err(error) => {
            assert_eq!(Some(error.violation), expected, "{error}");
            assert_eq!(rest.len(), bytes.len(), "nothing is taken");
        }
    }
}

packets! {
    // Framing.
    remaining_length_of_five_bytes: V5 Client "30 80 80 80 80 01" => RemainingLengthTooLong;
    /// [MQTT-1.5.5-1]
    remaining_length_that_is_not_minimal: V5 Client "c0 80 00" => RemainingLengthNotMinimal;
    packet_type_0: V5 Client "00 00" => ForbiddenType;
    /// [MQTT-2.1.3-1]
    pingreq_with_flags: V5 Client "c1 00" => ReservedFlags;
    pingreq_with_a_body: V5 Client "c0 01 00" => TrailingBytes;
    /// [MQTT-3.8.1-1]
    subscribe_with_flags_0: V5 Client "80 07 0001 00 0001 61 00" => SubscribeFlags;
    /// [MQTT-3.6.1-1]
    pubrel_with_flags_0: V5 Client "60 02 0001" => PubRelFlags;
    /// [MQTT-3.3.1-4]
    publish_of_qos_3: V5 Client "36 06 0001 61 0001 00" => PublishQos3;
    /// [MQTT-3.3.1-2]
    publish_with_dup_and_qos_0: V5 Client "38 04 0001 61 00" => DupWithQos0;
    /// [MQTT-2.1.3-1]
    puback_with_flags: V5 Client "41 02 0001" => ReservedFlags;

    // Strings.
    /// [MQTT-1.5.4-1]
    string_that_is_not_utf8: V5 Client "30 05 0002 c328 00" => StringNotUtf8;
    /// [MQTT-1.5.4-1]
    string_with_a_surrogate: V5 Client "30 06 0003 eda080 00" => StringNotUtf8;
    /// [MQTT-1.5.4-2]
    string_with_nul: V5 Client "30 06 0003 610062 00" => StringHasNul;
    string_that_is_cut_off: V5 Client "30 03 0005 61" => Truncated;
    publish_without_a_body: V5 Client "30 00" => Truncated;

    // PUBLISH.
    publish_that_is_good: V5 Client "30 05 0001 61 00 78" => ok;
    /// [MQTT-2.2.1-3]
    publish_with_packet_id_0: V5 Client "32 06 0001 61 0000 00" => PacketIdZero;
    /// [MQTT-3.3.2-2]
    publish_to_a_wildcard: V5 Client "30 06 0003 612f23 00" => TopicNameWildcard;
    /// [MQTT-4.7.3-1]
    publish_without_topic_and_alias: V5 Client "30 04 0000 00 78" => TopicNameMissing;
    /// [MQTT-3.3.2-8]
    publish_with_topic_alias_0: V5 Client "30 07 0001 61 03 230000" => TopicAliasZero;
    publish_with_a_property_twice: V5 Client "30 08 0001 61 04 0100 0100" => PropertyTwice;
    publish_with_a_property_of_connect: V5 Client "30 07 0001 61 03 210001" => PropertyNotAllowed;
    publish_with_subscription_id_0: V5 Server "30 06 0001 61 02 0b00" => PropertyZero;
    /// [MQTT-3.3.2-14]
    publish_with_a_wildcard_response_topic:
        V5 Client "30 0a 0001 61 06 080003 722f2b" => ResponseTopicWildcard;
    publish_without_property_length: V5 Client "30 03 0001 61" => Truncated;
    publish_with_a_property_length_beyond_its_end: V5 Client "30 05 0001 61 0a 01" => PropertyLength;
    publish_with_an_unknown_property: V5 Client "30 06 0001 61 02 7f00" => PropertyUnknown;
    /// [MQTT-1.5.5-1]
    publish_with_a_property_length_that_is_not_minimal:
        V5 Client "30 05 0001 61 8000" => VariableByteIntegerNotMinimal;
    publish_with_payload_format_indicator_2: V5 Client "30 06 0001 61 02 0102" => PropertyNotBoolean;
    /// [MQTT-3.3.4-4]
    publish_with_two_subscription_ids: V5 Server "30 08 0001 61 04 0b01 0b02" => ok;
    publish_that_is_good_in_3_1_1: V311 Client "30 04 0001 61 78" => ok;
    /// [MQTT-4.7.3-1 of 3.1.1]
    publish_with_an_empty_topic_in_3_1_1: V311 Client "30 03 0000 78" => TopicNameEmpty;
    /// [MQTT-2.3.1-1 of 3.1.1]
    publish_with_packet_id_0_in_3_1_1: V311 Client "32 05 0001 61 0000" => PacketIdZero;
    /// [MQTT-3.3.2-2 of 3.1.1]
    publish_to_a_wildcard_in_3_1_1: V311 Client "30 05 0003 612f2b" => TopicNameWildcard;
    /// [MQTT-3.3.1-2 of 3.1.1]
    publish_with_dup_and_qos_0_in_3_1_1: V311 Client "38 03 0001 61" => DupWithQos0;
    /// [MQTT-1.5.3-2 of 3.1.1]
    publish_with_nul_in_3_1_1: V311 Client "30 05 0003 610062" => StringHasNul;

    // CONNECT.
    connect_that_is_good: V5 Client "10 0e 0004 4d515454 05 02 003c 00 0001 63" => ok;
    connect_that_is_good_in_3_1_1: V311 Client "10 0d 0004 4d515454 04 02 003c 0001 63" => ok;
    /// [MQTT-3.1.2-3]
    connect_with_the_reserved_bit:
        V5 Client "10 0e 0004 4d515454 05 03 003c 00 0001 63" => ConnectReserved;
    /// [MQTT-3.1.2-3 of 3.1.1]
    connect_with_the_reserved_bit_in_3_1_1:
        V311 Client "10 0d 0004 4d515454 04 03 003c 0001 63" => ConnectReserved;
    /// [MQTT-3.1.2-11]
    connect_with_will_qos_but_no_will:
        V5 Client "10 0e 0004 4d515454 05 0a 003c 00 0001 63" => WillQosWithoutWill;
    /// [MQTT-3.1.2-13]
    connect_with_will_retain_but_no_will:
        V5 Client "10 0e 0004 4d515454 05 22 003c 00 0001 63" => WillRetainWithoutWill;
    /// [MQTT-3.1.2-12]
    connect_with_will_qos_3:
        V5 Client "10 14 0004 4d515454 05 1e 003c 00 0001 63 00 0001 74 0000" => WillQos3;
    /// [MQTT-3.1.2-22 of 3.1.1]
    connect_with_password_but_no_user_name_in_3_1_1:
        V311 Client "10 10 0004 4d515454 04 42 003c 0001 63 0001 70" => PasswordWithoutUserName;
    connect_with_password_but_no_user_name_which_version_5_allows:
        V5 Client "10 11 0004 4d515454 05 42 003c 00 0001 63 0001 70" => ok;
    /// [MQTT-3.1.2-1]
    connect_with_another_protocol_name:
        V5 Client "10 0e 0004 4d515458 05 02 003c 00 0001 63" => ProtocolName;
    /// [MQTT-3.1.2-2]
    connect_with_level_6: V5 Client "10 0e 0004 4d515454 06 02 003c 00 0001 63" => ProtocolLevel;
    connect_with_bytes_left_over:
        V5 Client "10 0f 0004 4d515454 05 02 003c 00 0001 63 00" => TrailingBytes;
    connect_with_receive_maximum_0:
        V5 Client "10 11 0004 4d515454 05 02 003c 03 210000 0001 63" => PropertyZero;
    connect_with_maximum_packet_size_0:
        V5 Client "10 13 0004 4d515454 05 02 003c 05 2700000000 0001 63" => PropertyZero;
    connect_with_request_problem_information_2:
        V5 Client "10 10 0004 4d515454 05 02 003c 02 1702 0001 63" => PropertyNotBoolean;
    connect_with_authentication_data_but_no_method:
        V5 Client "10 12 0004 4d515454 05 02 003c 04 16000161 0001 63" => AuthDataWithoutMethod;
    connect_with_session_expiry_interval_twice:
        V5 Client "10 18 0004 4d515454 05 02 003c 0a 1100000001 1100000001 0001 63" => PropertyTwice;
    connect_with_a_will_with_a_property_of_connect:
        V5 Client "10 17 0004 4d515454 05 06 003c 00 0001 63 03 210001 0001 74 0000" => PropertyNotAllowed;
    /// [MQTT-4.7.0-1]
    connect_with_a_wildcard_will_topic:
        V5 Client "10 14 0004 4d515454 05 06 003c 00 0001 63 00 0001 23 0000" => WillTopicWildcard;
    /// [MQTT-3.1.3-3]
    connect_without_client_id: V5 Client "10 0b 0004 4d515454 05 02 003c 00" => Truncated;
    /// [MQTT-2.1.3-1]
    connect_with_flags: V5 Client "18 0e 0004 4d515454 05 02 003c 00 0001 63" => ReservedFlags;

    // CONNACK.
    connack_that_is_good: V5 Server "20 03 00 00 00" => ok;
    /// [MQTT-3.2.2-1]
    connack_with_reserved_flags: V5 Server "20 03 02 00 00" => ConnAckFlags;
    /// [MQTT-3.2.2-6]
    connack_with_a_session_and_an_error: V5 Server "20 03 01 87 00" => SessionPresentOnFailure;
    /// [MQTT-3.2.2-8]
    connack_with_an_unknown_reason_code: V5 Server "20 03 00 05 00" => ConnAckReason;
    connack_with_maximum_qos_2: V5 Server "20 05 00 00 02 2402" => PropertyNotBoolean;
    connack_without_property_length: V5 Server "20 02 00 00" => Truncated;
    connack_with_receive_maximum_0: V5 Server "20 06 00 00 03 210000" => PropertyZero;
    connack_with_return_code_6_in_3_1_1: V311 Server "20 02 00 06" => ConnAckReason;
    connack_with_reserved_flags_in_3_1_1: V311 Server "20 02 02 00" => ConnAckFlags;
    connack_with_bytes_left_over_in_3_1_1: V311 Server "20 03 00 00 00" => TrailingBytes;

    // SUBSCRIBE and its answer.
    subscribe_that_is_good: V5 Client "82 07 0001 00 0001 61 00" => ok;
    /// [MQTT-3.8.3-2]
    subscribe_without_filters: V5 Client "82 03 0001 00" => SubscribeEmpty;
    subscribe_with_qos_3: V5 Client "82 07 0001 00 0001 61 03" => SubscribeQos3;
    /// [MQTT-3.8.3-5]
    subscribe_with_reserved_options: V5 Client "82 07 0001 00 0001 61 40" => SubscribeReserved;
    subscribe_with_retain_handling_3: V5 Client "82 07 0001 00 0001 61 30" => RetainHandling3;
    /// [MQTT-2.2.1-3]
    subscribe_with_packet_id_0: V5 Client "82 07 0000 00 0001 61 00" => PacketIdZero;
    /// [MQTT-4.7.1-1]
    subscribe_with_hash_in_the_middle: V5 Client "82 09 0001 00 0003 232f61 00" => TopicFilterHash;
    /// [MQTT-4.7.1-2]
    subscribe_with_plus_in_a_level: V5 Client "82 08 0001 00 0002 612b 00" => TopicFilterPlus;
    /// [MQTT-4.8.2-1]
    subscribe_with_an_empty_share_name:
        V5 Client "82 0f 0001 00 0009 2473686172652f2f61 00" => ShareNameEmpty;
    /// [MQTT-4.8.2-2]
    subscribe_to_a_share_without_filter:
        V5 Client "82 0e 0001 00 0008 2473686172652f67 00" => ShareFilterMissing;
    /// [MQTT-3.8.3-4]
    subscribe_to_a_share_with_no_local:
        V5 Client "82 10 0001 00 000a 2473686172652f672f61 04" => NoLocalOnShared;
    subscribe_with_subscription_id_0: V5 Client "82 09 0001 02 0b00 0001 61 00" => PropertyZero;
    subscribe_with_two_subscription_ids:
        V5 Client "82 0b 0001 04 0b01 0b02 0001 61 00" => PropertyTwice;
    /// [MQTT-4.7.3-1]
    subscribe_to_an_empty_filter: V5 Client "82 06 0001 00 0000 00" => TopicFilterEmpty;
    subscribe_without_the_options: V5 Client "82 06 0001 00 0001 61" => Truncated;
    /// [MQTT-3.8.3-4 of 3.1.1]
    subscribe_with_reserved_bits_in_3_1_1: V311 Client "82 06 0001 0001 61 04" => SubscribeReserved;
    /// [MQTT-3.8.3-3 of 3.1.1]
    subscribe_without_filters_in_3_1_1: V311 Client "82 02 0001" => SubscribeEmpty;
    /// [MQTT-4.7.1-2 of 3.1.1]
    subscribe_with_hash_in_the_middle_in_3_1_1:
        V311 Client "82 08 0001 0003 232f61 00" => TopicFilterHash;
    /// [MQTT-3.9.3-2 of 3.1.1]
    suback_with_code_3_in_3_1_1: V311 Server "90 03 0001 03" => SubAckReason;
    /// [MQTT-3.9.3-2]
    suback_with_code_3: V5 Server "90 04 0001 00 03" => SubAckReason;
    suback_without_codes: V5 Server "90 03 0001 00" => SubAckEmpty;
    /// [MQTT-3.10.3-2]
    unsubscribe_without_filters: V5 Client "a2 03 0001 00" => UnsubscribeEmpty;
    unsuback_with_bytes_left_over_in_3_1_1: V311 Server "b0 03 0001 00" => TrailingBytes;

    // The acknowledgements.
    puback_of_two_bytes: V5 Client "40 02 0001" => ok;
    puback_of_three_bytes: V5 Server "40 03 0001 10" => ok;
    /// [MQTT-3.4.2-1]
    puback_with_an_unknown_reason_code: V5 Client "40 03 0001 92" => PubAckReason;
    /// [MQTT-2.2.1-3]
    puback_with_packet_id_0: V5 Client "40 02 0000" => PacketIdZero;
    puback_with_bytes_left_over_in_3_1_1: V311 Client "40 03 0001 00" => TrailingBytes;
    puback_with_a_property_of_publish: V5 Client "40 06 0001 00 02 0101" => PropertyNotAllowed;
    puback_that_is_cut_off: V5 Client "40 01 00" => Truncated;
    /// [MQTT-3.6.2-1]
    pubrel_with_an_unknown_reason_code: V5 Client "62 03 0001 10" => PubRelReason;

    // DISCONNECT and AUTH.
    disconnect_without_a_body: V5 Client "e0 00" => ok;
    disconnect_of_one_byte: V5 Client "e0 01 04" => ok;
    /// [MQTT-3.14.2-1]
    disconnect_with_an_unknown_reason_code: V5 Client "e0 01 01" => DisconnectReason;
    disconnect_with_a_body_in_3_1_1: V311 Client "e0 01 00" => TrailingBytes;
    disconnect_with_bytes_left_over: V5 Client "e0 03 00 00 00" => TrailingBytes;
    /// [MQTT-3.15.2-1]
    auth_with_an_unknown_reason_code: V5 Client "f0 02 01 00" => AuthReason;
    auth_without_method: V5 Client "f0 02 18 00" => AuthMethodMissing;
    auth_in_3_1_1: V311 Client "f0 00" => ForbiddenType;
}
