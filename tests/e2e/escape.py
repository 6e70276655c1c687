# SPDX-License-Identifier: Apache-2.0
"""Ways out of an app's policy, and the attacks that try them: the table of `make escape`.

A row is closed if its attacks pass, and prints what they saw refuse them. What a kernel leaves open has
`doctor`: the checks of `egret doctor` that report it on such a host; an attack shows that one gets through
there, and that the check says so.
"""
import ast
import dataclasses
import os


@dataclasses.dataclass(frozen=True)
class Row:
    way: str
    tried: str
    attacks: tuple  # "file::test" without the prefix "test_": "allow_deny::tcp_denied_address"
    doctor: tuple = ()


def row(way, tried, attacks, doctor=""):
    return Row(way, tried, tuple(attacks.split()), tuple(doctor.split()))


ROWS = [
    row("AF_PACKET send",
        "frames by an app with CAP_NET_RAW: IP, fragments, VLAN, MPLS, any ethertype",
        "guard::frames_by_af_packet escape_frames::frames_need_no_administrator "
        "escape_frames::frames_where_no_guard_is escape_frames::a_dns_question_in_a_frame",
        "lsm families frames"),
    row("PACKET_QDISC_BYPASS, AF_XDP",
        "frames that skip the queue, and frames out of a ring",
        "escape_frames::frames_past_the_queue escape_frames::frames_by_af_xdp escape_frames::frames_where_no_guard_is",
        "lsm families frames"),
    row("SOCK_RAW, IP_HDRINCL",
        "raw sockets without and with a policy's leave; headers with options, cut short, of other protocols",
        "allow_deny::raw_sockets_and_odd_protocols_are_refused allow_deny::raw_sockets_by_policy_are_still_judged "
        "escape_headers::headers_made_by_hand hostile::source_route icmp::a_raw_socket_gets_no_other_errors"),
    row("fragments",
        "first and later fragments made by hand, from both sides of the packet hook",
        "escape_headers::headers_made_by_hand guard::frames_by_af_packet guard::allowed_traffic_flows"),
    row("IPv6 extension headers, ICMPv6, ff00::/8",
        "routing, hop-by-hop, destination and fragment headers; echo requests and groups that no rule names",
        "escape_headers::headers_made_by_hand_in_ipv6 escape_headers::a_routing_header_by_option "
        "allow_deny::icmp_needs_a_rule ways_out::groups_need_a_rule_of_their_own guard::neighbours_are_on_the_link"),
    row("v4-mapped v6",
        "::ffff:a.b.c.d to connect and sendto, and a rule for all of IPv6",
        "allow_deny::v4_mapped_addresses_are_ipv4 allow_deny::a_rule_for_all_of_ipv6_does_not_open_ipv4"),
    row("unconnected UDP",
        "sendto without connect, to each peer anew, and to another while the first is corked",
        "allow_deny::udp_unconnected allow_deny::each_peer_of_a_socket_is_a_flow escape_calls::a_corked_datagram"),
    row("TCP Fast Open (MSG_FASTOPEN)",
        "data in the SYN, with and without a name to be verified",
        "allow_deny::fast_open_is_judged first_data::fast_open"),
    row("MPTCP, SCTP, DCCP, UDP-Lite, L2TP",
        "sockets of other protocols, subflows, a simultaneous open",
        "allow_deny::mptcp_is_tcp allow_deny::raw_sockets_and_odd_protocols_are_refused "
        "escape_calls::no_other_protocol hostile::mptcp_is_in_the_log hostile::simultaneous_open"),
    row("connect(AF_UNSPEC), reconnect of a UDP socket",
        "a socket that was allowed to one peer, turned to another",
        "allow_deny::reconnecting_a_socket_is_judged_again allow_deny::udp_connected"),
    row("io_uring, MSG_ZEROCOPY, sendfile, splice",
        "connect and send from a ring, by a kernel thread of it as well; data without a copy, past a cap and a kill",
        "escape_calls::io_uring ways_out::zerocopy_datagrams_are_judged ways_out::no_way_into_the_socket_passes_a_cap "
        "ways_out::no_way_into_the_socket_passes_a_kill"),
    row("sockets inherited, passed by SCM_RIGHTS, or made before the task moved into the cgroup",
        "sockets of another app and of outside, used from inside; live ones when the tag comes",
        "allow_deny::sockets_passed_from_outside_obey_their_own_cgroup allow_deny::a_socket_of_another_app_brings_no_rights "
        "allow_deny::sockets_made_before_the_tag_are_cut allow_deny::accepted_sockets_inherit "
        "isolation::a_socket_that_outlives_its_app_is_nobodys"),
    row("established flows at policy change or kill",
        "connections that live when their rule goes, or the app is killed",
        "kill::live_tcp_is_reset kill::no_packet_leaves_after_the_answer kill::connected_udp_gets_an_error "
        "kill::incoming_is_cut_too lifecycle::a_policy_change_cuts_what_it_denies_and_nothing_else "
        "lifecycle::an_udp_socket_obeys_the_new_policy_with_its_next_packet"),
    row("loopback and host services (proxies, docker API, metadata 169.254.169.254, fd00:ec2::254)",
        "services on the host's loopback, the metadata addresses, a port that becomes another's",
        "hostile::port_of_the_app_becomes_another_s escape_calls::metadata allow_deny::own_loopback_is_free_unless_the_policy_says_no "
        "policy_errors::warnings_are_no_errors"),
    row("Unix and abstract sockets to helpers outside",
        "an abstract socket of the host, from its network namespace",
        "escape_calls::an_abstract_socket_of_the_host", "unix"),
    row("vsock, netlink, tun, new namespaces",
        "AF_VSOCK; a tun device; namespaces that the app makes, where it has every capability",
        "escape_calls::vsock escape_calls::namespaces_of_ones_own guard::a_tun_is_refused "
        "kill::sockets_in_every_namespace_of_the_app", "families netns"),
    row("SO_MARK set by the app to look exempt",
        "marks of other tools, and the one that egretd sets",
        "escape_calls::so_mark"),
    row("DNS: other resolver, TCP/53, DoT, DoH",
        "resolvers that the policy doesn't name, over every transport",
        "names_attacks::other_resolvers_dot_and_doh"),
    row("DNS tunnel through the allowed resolver",
        "names, types and bytes that carry data; two queries in one segment; too many",
        "names_attacks::tunnels names_attacks::types_that_carry_data names_attacks::what_is_no_plain_query "
        "names_attacks::bytes_behind_the_question names_attacks::a_query_in_two_segments "
        "names_attacks::two_queries_in_one_segment names::another_name_never_leaves names::rate"),
    row("forged DNS answer",
        "answers that nobody asked for, to another's question, from the app itself, from behind its NAT, from a namespace it made",
        "names_attacks::forged_answers names_attacks::unasked_answers names_attacks::an_answer_to_anothers_question "
        "names_attacks::an_app_that_answers_itself names_attacks::an_app_behind_the_nat_of_its_resolver "
        "names_namespaces::answers_in_a_namespace_of_ones_own "
        "allow_deny::bind_to_53_is_refused"),
    row("DNS rebinding",
        "an allowed name that answers with private, loopback, link-local and metadata addresses",
        "names_attacks::answers_that_are_not_public"),
    row("shared CDN address, domain fronting",
        "another name than the rule's in the ClientHello to an allowed address",
        "first_data::other_first_data_is_refused first_data::the_outer_name_of_an_encrypted_hello_counts "
        "first_data::a_live_flow_keeps_to_its_name"),
    row("ClientHello split over writes, or not TLS at all",
        "hellos in pieces, too large, after other data, sent again",
        "first_data::a_hello_in_pieces_is_held first_data::other_first_data_is_refused first_data::a_good_hello_comes_too_late "
        "first_data::what_is_sent_again_is_refused_too first_data::a_name_behind_what_is_looked_at"),
    row("long names, compression loops, many answers, trailing dots, upper case, IDNA, 0x20 mixing",
        "answers that lead to themselves, that are too many, random; names in upper case",
        "names_attacks::an_owner_that_leads_to_itself names_attacks::more_addresses_than_are_read "
        "names_attacks::a_flood_of_random_answers names::upper_case_and_a_server_that_answers_in_lower"),
    row("TTL abuse (0, 2^31)",
        "answers with a TTL of 0 and of 2^31; a flow beyond the end of its grant",
        "names::ttl_out_of_range names::the_end_of_a_grant"),
    row("cap and rate races on many CPUs; GSO; multicast loops the hook twice",
        "many senders at the end of a cap, large segments, groups",
        "caps::many_processes_contend caps::many_tcp_connections_contend caps::egress_tcp_with_gso "
        "ways_out::what_a_rule_allows_counts_once caps::egress_udp_to_the_byte"),
    row("cgroup removed and a new one with the same name or a reused id",
        "a cgroup of the app's name, made anew; sockets that outlive their app",
        "lifecycle::a_cgroup_name_used_again_is_a_new_cgroup isolation::a_socket_that_outlives_its_app_is_nobodys "
        "hostile::a_socket_that_changes_its_app"),
    row("a nested cgroup made by the app",
        "cgroups below the app's own, one of them by the name of another app; a move out of it",
        "allow_deny::a_child_cgroup_is_the_apps allow_deny::the_topmost_tag_wins "
        "isolation::child_cgroups_push_out_nobody_s_dead_ones escape_calls::a_move_to_another_cgroup", "cgroups"),
    row("event flood from one app",
        "denials by the thousand, to hide one's own or another's",
        "events::a_flood_is_suppressed_and_counted hostile::cap hostile::expiry"),
    row("policy bombs: a million rules, a name per line, deep nesting, huge numbers, duplicate keys, invalid UTF-8",
        "policies of every such kind; tables that are full",
        "policy_errors::place_sentence_and_fix policy_errors::large_bodies isolation::rules"),
    row("reading or changing the agent: its socket, bpffs, state dir, ptrace",
        "the API, files and process of the agent, as an unprivileged user",
        "api_roles::roles api_roles::nothing_of_the_agents_is_open_to_others", "socket bpffs state"),
    row("netns admin rewrites behind the hook: nft netdev egress, tc pedit, XDP, a tunnel or tun device in the app's own "
        "namespace (measured: the packet left for another address than the one judged)",
        "rewrites and copies by nft and tc, VXLAN, a segment route, TCP_REPAIR, uplinks that no guard covers",
        "guard::nft_rewrites_the_destination guard::copies_beyond_the_cap guard::vxlan_in_its_namespace "
        "guard::nft_rewrites_the_source_of_what_comes_in guard::an_uplink_that_is_no_veth_is_refused guard::a_tun_is_refused "
        "escape_frames::a_repaired_connection escape_frames::a_segment_route "
        "allow_deny::an_admin_of_its_own_namespace_is_refused", "netns"),
    row("the managed root removed and made again (measured: pinned link alive with cgroup id 0, no program on the new root)",
        "the root removed, with the agent running and without",
        "lifecycle::the_root_can_not_be_removed lifecycle::a_root_that_was_removed_and_made_again_is_taken_up", "enforcement"),
    row("the time between boot and agent",
        "apps that start before the agent, after a reboot",
        "lifecycle::early_denies_everything_but_keeps_holds lifecycle::cgroups_made_while_no_agent_runs_are_denied_until_it_does"),
    row("an outsider makes the app hit its own limits (scan, inbound flood)",
        "floods and scans from outside against caps, quotas, alerts and the log",
        "caps::an_outsider_can_not_use_up_an_ingress_cap isolation::a_scan_from_outside_fills_no_table "
        "events::a_scan_from_outside_hides_nothing_that_the_app_does alerts::strangers_can_not_make_an_alert"),
    row("another tool's program or a NAT changes the destination between connect and packet",
        "a DNAT in the app's namespace, before and after the flow began; programs of others",
        "nat::the_translated_destination_is_judged nat::what_a_rule_names_is_no_excuse nat::programs_of_others_are_reported", "nat"),
    # What was thought of since.
    row("another sender's address, so that an allowed host answers to it",
        "IP_TRANSPARENT and IPV6_FREEBIND, which takes no capability, and a bind to an address that is not the host's",
        "escape_calls::another_senders_address", "senders"),
    row("the same by a 32-bit system call, at which the kernel asks no hook of a cgroup",
        "IPV6_FREEBIND by int 0x80",
        "escape_calls::another_senders_address_by_a_32_bit_call", "options"),
    row("packets that leave their queue long after a kill",
        "SO_TXTIME and SO_MAX_PACING_RATE; where the queue is sch_fq (vmtests), sockets that have them by a 32-bit system call",
        "escape_calls::packets_for_later"),
    row("a neighbour on the same bridge, handed packets for another address",
        "the hardware address of a neighbour on frames that the guard allows",
        "escape_frames::neighbours_on_the_bridge", "bridge"),
    row("work done by others: a helper of the host, a service manager, another process of the same user",
        "sockets of helpers that look names up or run commands; upcalls of the kernel's keyring; ptrace",
        "escape_calls::an_abstract_socket_of_the_host escape_calls::doctor_names_helpers", "unix upcalls uids cgroups"),
    row("data that is one thing when it is looked at, and another where it arrives",
        "questions and hellos in pages that the app writes to afterwards, with an urgent byte, in segments of their own",
        "data_twice::a_second_question_in_a_segment_of_its_own data_twice::a_question_that_changes_in_the_queue "
        "data_twice::a_question_out_of_band data_twice::a_hello_out_of_band "
        "data_twice::a_hello_that_changes_before_it_is_sent_again", "pages"),
]

HERE = os.path.dirname(os.path.abspath(__file__))


def tests_of(file):
    """{name without "test_": pytest's id} of a test file; methods of test classes included."""
    path = os.path.join(HERE, f"test_{file}.py")
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as source:
        tree = ast.parse(source.read())
    found = {}
    for node in tree.body:
        places = [(node, [])] if isinstance(node, ast.FunctionDef) else []
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            places = [(inner, [node.name]) for inner in node.body if isinstance(inner, ast.FunctionDef)]
        for function, prefix in places:
            if function.name.startswith("test_"):
                found[function.name[5:]] = "::".join([path, *prefix, function.name])
    return found


def id_of(attack):
    """pytest's id of an attack, or None: there is no such test."""
    file, _, name = attack.partition("::")
    return tests_of(file).get(name)


def gaps(each, checks):
    """What a row lacks. checks: those that egret doctor makes."""
    found = [f"there is no test {attack}" for attack in each.attacks if not id_of(attack)]
    found += [f"egret doctor has no check {check}" for check in each.doctor if check not in checks]
    if not each.tried:
        found.append("it doesn't say what is tried")
    if not each.attacks and not each.doctor:
        found.append("neither an attack nor a check of egret doctor")
    return found
