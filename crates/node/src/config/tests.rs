use super::*;

const PEER: &str = "12D3KooWD5RtEPmMR9Yb2ku5VuxqK7Yj1Y5Gv8DmffJ6Ei8maU44";

fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_lookup(|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn nothing_set_is_the_defaults() {
    assert_eq!(read(&[]), Ok(Config::default()));
    assert_eq!(Config::default().gossip().profile, gossip::Profile::Adaptive);
}

#[test]
fn every_variable_has_its_effect() {
    let bootstrap = format!(" /ip4/172.28.0.12/tcp/7070/p2p/{PEER} ,, /dns4/node/tcp/1/p2p/{PEER}");
    let config = read(&[
        ("CLUSTER_ID", " docker-dev-cluster "),
        ("NODE_MODE", "optimum"),
        ("LOG_LEVEL", "debug"),
        ("SIDECAR_PORT", "1"),
        ("API_PORT", "2"),
        ("IDENTITY_DIR", "/tmp/x"),
        ("BOOTSTRAP_PEERS", &bootstrap),
        ("OPTIMUM_PORT", "3"),
        ("OPTIMUM_MAX_MSG_SIZE", "10485760"),
        ("OPTIMUM_MESH_MIN", "4"),
        ("OPTIMUM_MESH_TARGET", "8"),
        ("OPTIMUM_MESH_MAX", "16"),
        ("OPTIMUM_SHARD_FACTOR", "8"),
        ("OPTIMUM_SHARD_MULT", "1.2"),
        ("OPTIMUM_THRESHOLD", "0.5"),
        ("OPTIMUM_PROFILE", "documented"),
        ("OPTIMUM_RETAIN_BYTES", "1000"),
        ("OPTIMUM_TRACE", "join, PUBLISH_MESSAGE"),
        ("GOSSIPSUB_PORT", "4"),
        ("GOSSIPSUB_MAX_MSG_SIZE", "5"),
        ("GOSSIPSUB_MESH_MIN", "1"),
        ("GOSSIPSUB_MESH_TARGET", "2"),
        ("GOSSIPSUB_MESH_MAX", "3"),
        ("BIND_ADDRESS", "::1"),
        ("STREAM_QUEUE_BYTES", "6"),
    ])
    .expect("all allowed");
    assert_eq!(config.cluster_id, "docker-dev-cluster");
    assert_eq!((config.sidecar_port, config.api_port), (1, 2));
    assert_eq!(config.identity_dir, PathBuf::from("/tmp/x"));
    let addresses: Vec<_> =
        config.bootstrap_peers.iter().map(|entry| entry.address.to_string()).collect();
    assert_eq!(addresses, ["/ip4/172.28.0.12/tcp/7070", "/dns4/node/tcp/1"]);
    assert_eq!(config.optimum.mesh, Mesh { min: 4, target: 8, max: 16 });
    assert_eq!(config.gossipsub.mesh, Mesh { min: 1, target: 2, max: 3 });
    assert_eq!((config.optimum.port, config.gossipsub.port), (3, 4));
    assert_eq!(config.gossipsub.max_message_bytes, 5);
    assert_eq!(config.bind_address, Some(std::net::Ipv6Addr::LOCALHOST.into()));
    assert_eq!(config.stream_queue_bytes, 6);
    assert!(config.trace.allows(0) && config.trace.allows(9) && !config.trace.allows(1));

    let gossip = config.gossip();
    assert_eq!(&gossip.cluster[..], b"docker-dev-cluster");
    assert_eq!(gossip.message_bytes_max, 12_582_912, "a fifth more is tolerated");
    assert_eq!((gossip.profile, gossip.shard_factor), (gossip::Profile::Documented, 8));
    assert!((gossip.shard_multiplier - 1.2).abs() < f64::EPSILON);
    assert!((gossip.forward_threshold - 0.5).abs() < f64::EPSILON);
    assert_eq!((gossip.mesh.low, gossip.mesh.target, gossip.mesh.high), (4, 8, 16));
    assert_eq!(gossip.limits.retain_bytes_max, 1000);
}

#[test]
fn in_each_profile_64_mib_are_possible_and_not_a_byte_more() {
    for (name, profile) in
        [("documented", gossip::Profile::Documented), (" adaptive ", gossip::Profile::Adaptive)]
    {
        let with = |bytes| read(&[("OPTIMUM_PROFILE", name), ("OPTIMUM_MAX_MSG_SIZE", bytes)]);
        let config = with("67108864").expect("64 MiB");
        assert_eq!(config.optimum.profile, profile);
        let gossip = config.gossip();
        assert_eq!((gossip.profile, gossip.message_bytes_max), (profile, 64 << 20));
        assert_eq!(with("67108865").map_err(|error| error.variable), Err("OPTIMUM_MAX_MSG_SIZE"));
    }
    for (name, allowed) in [
        ("adaptive", "1 to 67108864 in profile adaptive"),
        ("documented", "what OPTIMUM_SHARD_FACTOR fragments can hold"),
    ] {
        let error = read(&[("OPTIMUM_PROFILE", name), ("OPTIMUM_MAX_MSG_SIZE", "67108865")]);
        let error = error.expect_err("too much").to_string();
        assert!(error.contains(allowed), "{error}");
    }
    // More fragments hold more, where their number counts.
    let with = |name| {
        let more = [("OPTIMUM_SHARD_FACTOR", "8"), ("OPTIMUM_MAX_MSG_SIZE", "134217728")];
        read(&[more[0], more[1], ("OPTIMUM_PROFILE", name)])
    };
    assert!(with("documented").is_ok() && with("adaptive").is_err());
}

#[test]
fn every_variable_about_the_surroundings_has_its_effect() {
    let announced = format!("/ip4/203.0.113.7/tcp/7070/p2p/{PEER}, /dns4/n/udp/1/quic-v1");
    let config = read(&[
        ("CLUSTER_HANDSHAKE", "required"),
        ("OPTIMUM_QUIC", "True"),
        ("ANNOUNCE_ADDRESSES", &announced),
        ("SIDECAR_JWKS", "/keys.json"),
        ("GEOIP_DB", "/geo.mmdb"),
        ("GEO_COUNTRY", "Germany"),
        ("GEO_COUNTRY_ISO", "de"),
        ("GEO_LATITUDE", "52.5"),
        ("GEO_LONGITUDE", "13.4"),
        ("TLS_CERT", "/cert.pem"),
        ("TLS_KEY", "/key.pem"),
    ])
    .expect("all allowed");
    assert_eq!(config.handshake, HandshakePolicy::Required);
    assert!(config.quic);
    let announce: Vec<_> = config.announce.iter().map(ToString::to_string).collect();
    assert_eq!(announce, ["/ip4/203.0.113.7/tcp/7070", "/dns4/n/udp/1/quic-v1"]);
    assert_eq!(config.sidecar_jwks.as_deref(), Some("/keys.json"));
    assert_eq!(config.geo.database, Some("/geo.mmdb".into()));
    assert_eq!(config.geo.country_iso.as_deref(), Some("DE"));
    assert_eq!(config.geo.coordinates, Some((52.5, 13.4)));
    assert_eq!(config.tls.as_ref().map(|files| files.key.clone()), Some("/key.pem".into()));
}

#[test]
fn a_wrong_value_is_named_with_its_variable_and_what_is_allowed() {
    let no_peer = "/ip4/1.2.3.4/tcp/7070";
    for (variable, value, allowed) in [
        ("CLUSTER_ID", "a\u{fffd}", "UTF-8"),
        ("SIDECAR_PORT", "", "0 to 65535"),
        ("SIDECAR_PORT", "9090", "another port"),
        ("API_PORT", "7070", "another port"),
        ("OPTIMUM_PORT", "33212", "another port"),
        ("SIDECAR_PORT", "-1", "0 to 65535"),
        ("API_PORT", "65536", "0 to 65535"),
        ("OPTIMUM_PORT", "7070.0", "0 to 65535"),
        ("OPTIMUM_MAX_MSG_SIZE", "0", "from 1 to"),
        ("OPTIMUM_MAX_MSG_SIZE", "1048576000", "1 to 67108864 in profile adaptive"),
        ("OPTIMUM_MESH_MIN", "0", "from 1 to 1000"),
        ("OPTIMUM_MESH_MAX", "2", "OPTIMUM_MESH_MIN ≤ OPTIMUM_MESH_TARGET"),
        ("OPTIMUM_SHARD_FACTOR", "257", "from 1 to 256"),
        ("OPTIMUM_SHARD_MULT", "0.9", "from 1 to 16"),
        ("OPTIMUM_SHARD_MULT", "NaN", "from 1 to 16"),
        ("OPTIMUM_THRESHOLD", "1.1", "from 0 to 1"),
        ("OPTIMUM_THRESHOLD", "half", "from 0 to 1"),
        ("OPTIMUM_PROFILE", "fast", "adaptive or documented"),
        ("OPTIMUM_RETAIN_BYTES", "1e9", "from 0 to"),
        ("OPTIMUM_TRACE", "JOIN,SING", "NEW_SHARD"),
        ("OPTIMUM_RANDOM_MSG_SIZE", "0", "from 1 to"),
        ("GOSSIPSUB_PORT", "x", "0 to 65535"),
        ("GOSSIPSUB_MESH_TARGET", "99", "GOSSIPSUB_MESH_MIN ≤ GOSSIPSUB_MESH_TARGET"),
        ("CLUSTER_HANDSHAKE", "no", "auto or required"),
        ("OPTIMUM_QUIC", "yes", "true or false"),
        ("ANNOUNCE_ADDRESSES", "203.0.113.7:7070", "/ip4/203.0.113.7/tcp/7070"),
        ("ANNOUNCE_ADDRESSES", "/ip4/203.0.113.7", "/ip4/203.0.113.7/tcp/7070"),
        ("GEO_COUNTRY_ISO", "Germany", "two letters"),
        ("GEO_LATITUDE", "91", "from -90 to 90"),
        ("GEO_LONGITUDE", "east", "from -180 to 180"),
        ("NODE_MODE", "Optimum", "optimum"),
        ("IDENTITY_DIR", "", "path"),
        ("BOOTSTRAP_PEERS", "nonsense", "multiaddresses"),
        ("BOOTSTRAP_PEERS", no_peer, "/p2p/<peer id>"),
        ("BIND_ADDRESS", "localhost", "IPv4 or IPv6"),
        ("STREAM_QUEUE_BYTES", "0", "from 1 to"),
        ("CONFIG_PATH", "/etc/p2pnode.yaml", "environment"),
    ] {
        let Err(error) = read(&[(variable, value)]) else { panic!("{variable}={value}") };
        // Degrees are wrong together; the target is the one that is named.
        let named = if variable.ends_with("_MESH_MAX") { "OPTIMUM_MESH_TARGET" } else { variable };
        assert_eq!(error.variable, named, "{error}");
        let text = error.to_string();
        assert!(variable != named || text.contains(value), "{text}");
        assert!(text.contains(allowed), "{text}");
    }
}

#[test]
fn a_control_character_in_the_cluster_id_is_refused_and_not_printed() {
    let error = read(&[("CLUSTER_ID", "a\nAPI_PORT=1")]).expect_err("refused").to_string();
    assert!(error.contains("control characters") && !error.contains('\n'), "{error}");
}

#[test]
fn ports_are_compared_of_the_mode_that_runs_and_free_ones_are_never_equal() {
    assert!(read(&[("GOSSIPSUB_PORT", "9090")]).is_ok());
    let gossipsub = [("NODE_MODE", "gossipsub"), ("GOSSIPSUB_PORT", "9090")];
    assert_eq!(read(&gossipsub).expect_err("taken").variable, "GOSSIPSUB_PORT");
    assert!(read(&[("SIDECAR_PORT", "0"), ("API_PORT", "0"), ("OPTIMUM_PORT", "0")]).is_ok());
}

#[test]
fn what_is_in_effect_is_told_and_not_what_was_written() {
    let config = read(&[
        ("CLUSTER_ID", " c "),
        ("NODE_MODE", ""),
        ("LOG_LEVEL", "production"),
        ("OPTIMUM_TRACE", "join, publish_message,"),
        ("OPTIMUM_QUIC", "T"),
    ]);
    let effective = config.expect("allowed").effective();
    for (name, value) in [
        ("CLUSTER_ID", "c"),
        ("NODE_MODE", "optimum"),
        ("LOG_LEVEL", "info"),
        ("OPTIMUM_TRACE", "PUBLISH_MESSAGE,JOIN"),
        ("OPTIMUM_QUIC", "true"),
    ] {
        assert!(effective.contains(&(name, value.to_owned())), "{name}: {effective:?}");
    }
}

#[test]
fn settings_that_count_in_another_profile_only_are_named() {
    let without_effect = |variables: &[(&str, &str)]| {
        let all = [variables, &[("OPTIMUM_SHARD_MULT", "1.5"), ("OPTIMUM_THRESHOLD", "0.5")]];
        read(&all.concat()).expect("allowed").without_effect()
    };
    assert_eq!(without_effect(&[("OPTIMUM_SHARD_FACTOR", "4")]), ["OPTIMUM_THRESHOLD"]);
    let named = without_effect(&[("OPTIMUM_SHARD_FACTOR", "8")]);
    assert_eq!(named, ["OPTIMUM_SHARD_FACTOR", "OPTIMUM_THRESHOLD"]);
    for other in [("OPTIMUM_PROFILE", "documented"), ("NODE_MODE", "gossipsub")] {
        assert!(without_effect(&[other]).is_empty(), "{other:?}");
    }
    assert!(Config::default().without_effect().is_empty());
}

#[test]
fn half_of_a_pair_is_refused_and_the_missing_half_named() {
    for (variable, value, missing) in [
        ("GEO_LATITUDE", "52.5", "GEO_LONGITUDE"),
        ("GEO_LONGITUDE", "13.4", "GEO_LATITUDE"),
        ("TLS_CERT", "/cert.pem", "TLS_KEY"),
        ("TLS_KEY", "/key.pem", "TLS_CERT"),
    ] {
        let error = read(&[(variable, value)]).expect_err(variable);
        assert_eq!(error.variable, missing, "{error}");
    }
}

#[test]
fn two_quotation_marks_are_nothing() {
    let config = read(&[("BOOTSTRAP_PEERS", "\"\""), ("CLUSTER_ID", "\"\"")]).expect("allowed");
    assert!(config.bootstrap_peers.is_empty());
    assert_eq!(config.cluster_id, "");
    let error = read(&[("API_PORT", "\"\"")]).expect_err("no number");
    assert_eq!(error.value, "\"\"", "the value as it was set");
}

#[test]
fn a_level_that_is_none_is_kept_for_the_log_to_judge() {
    assert_eq!(read(&[("LOG_LEVEL", "production")]).expect("lenient").log_level, "production");
}

#[test]
fn every_variable_that_is_read_is_in_the_help() {
    let asked = std::cell::RefCell::new(std::collections::BTreeSet::new());
    let lookup = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        None
    };
    assert!(Config::from_lookup(lookup).is_ok());
    for name in asked.borrow().iter() {
        assert!(variables().any(|(listed, _, _)| listed == name), "{name}");
    }
}
