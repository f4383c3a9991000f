// Answers to the admin page in place of the server, which seldom has so much to show.
(() => {
    const topics = ['Array', 'Backtracking', 'Binary Search', 'Bit Manipulation', 'Dynamic Programming', 'Graph', 'Greedy', 'Hash Table', 'Heap', 'Linked List'];
    const buckets = Array.from({ length: 1000 }, (_, index) => {
        const waiting = index < 40 ? Math.ceil(900 / (index + 1) ** 1.6) : 0;
        return {
            difficulty: ['Easy', 'Medium', 'Hard'][index % 3],
            topic: index === 7 ? 'مصفوفة' : `${topics[index % 10]} ${Math.floor(index / 10) + 1}`,
            queue_length: waiting, oldest_wait_ms: waiting ? 400 + waiting * 61 : null,
            set_aside: index % 4 === 0 && waiting ? 2 : 0, in_flight: index === 0 ? 3 : 0, mailbox: index === 1 ? 12 : 0,
        };
    });
    const id = (number) => `0198c7a2-5b1e-7c40-9d2a-${String(number).padStart(12, '0')}`;
    const ticket = {
        id: id(17), user_id: 'ada', difficulty: 'Easy', topic: 'Array 1', status: 'waiting',
        why: 'It may not meet any of the 2 others in its bucket, because of declines and silences.',
        place: 3, waits_until: '2026-11-30T16:01:04.531Z',
        timeline: [
            { at: '2026-11-30T16:00:00.123Z', source: 'stored', what: 'asked', detail: 'Asked for Array 1 in Easy.', match_id: null },
            { at: '2026-11-30T16:00:00.127Z', source: 'decision', what: 'waits', detail: 'It may be paired from now on.', match_id: null },
            { at: '2026-11-30T16:00:02.310Z', source: 'decision', what: 'proposed', detail: 'It was set aside for this match.', match_id: id(4) },
            { at: '2026-11-30T16:00:02.310Z', source: 'stored', what: 'proposal', detail: `Proposed with ticket ${id(16)} until 2026-11-30T16:02:02.310Z; nobody confirmed.`, match_id: id(4) },
            { at: '2026-11-30T16:00:02.318Z', source: 'decision', what: 'matched', detail: 'The match is stored; both are told.', match_id: id(4) },
            { at: '2026-11-30T16:00:04.500Z', source: 'stored', what: 'match_over', detail: 'The match is over: declined by partner.', match_id: id(4) },
            { at: '2026-11-30T16:00:04.531Z', source: 'decision', what: 'put_back', detail: 'The match ended; it goes back to its old place.', match_id: id(4) },
        ],
    };
    const state = {
        server: { version: '0.1.0', environment: 'production', started_at: '2026-11-30T09:12:44Z', recovery_seconds: 0.412 },
        roster: { mailbox: 3, mailbox_max: 4096, rated_users: 2214 }, buckets_total: 1000,
        tickets: { waiting: 2207, known: 2941 }, matches: { proposed: 367, opening: 4, in_session: 812 },
        sockets: { open: 1841, users: 1790, per_worker: [921, 920] },
        sessions: {
            open: 812, total: 1183,
            items: Array.from({ length: 40 }, (_, index) => {
                const of = ['proposed', 'opening', 'in_session'][Math.min(2, Math.floor(index / 5))];
                return { state: of, match_id: id(100 + index), session_id: of === 'in_session' ? id(500 + index) : null, deadline: null, due_in_ms: of === 'opening' ? null : of === 'proposed' ? 91000 - index * 1700 : 20000000 + index };
            }),
        },
        store: { backend: 'postgresql', urgent: 4, patient: 31, stuck: false },
        outbox: { rows: 12, oldest_age_ms: 4120 }, mirror: { behind: 7, differences: 0 },
        backends: { postgresql: 'up', redis: 'up', rabbitmq: 'down' },
    };
    window.broken = 0;
    const bounds = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120, 600];
    let scrapes = 0;
    const histogram = (name, shape) => {
        let below = 0;
        const lines = bounds.map((bound, index) => {
            below += Math.round((shape[index] || 0) * (1 + scrapes * (0.05 + 0.02 * Math.sin(scrapes + index))));
            return `${name}_bucket{le="${bound}"} ${below}`;
        });
        return [...lines, `${name}_bucket{le="+Inf"} ${below}`].join('\n');
    };
    const metrics = () => [
        ...Array.from({ length: 14 }, (_, index) => `matchmaker_guarantee_breaches_total{guarantee="g${index + 1}_${['one_live_claim', 'stored_before_told', 'no_partner_lost'][index % 3]}"} ${index === 4 ? window.broken : 0}`),
        'matchmaker_tickets_opened_total 48211', 'matchmaker_matches_proposed_total 22954', 'matchmaker_confirmations_total 41877',
        'matchmaker_sessions_opened_total 20319', 'matchmaker_matches_ended_total{ending="declined"} 1204', 'matchmaker_matches_ended_total{ending="expired"} 1060',
        'matchmaker_tickets_put_back_total 2231', 'matchmaker_tickets_closed_total{outcome="withdrawn"} 3120', 'matchmaker_tickets_closed_total{outcome="expired"} 1877',
        'matchmaker_sessions_left_total 38900', 'matchmaker_oldest_wait_seconds 55.3',
        histogram('matchmaker_time_to_match_seconds', [0, 40, 900, 4100, 6200, 5100, 2900, 1200, 500, 220, 90, 30, 8, 2]),
        histogram('matchmaker_time_to_confirm_seconds', [0, 0, 0, 0, 0, 0, 0, 20, 140, 900, 2900, 5200, 4800, 2100, 400]),
    ].join('\n');
    const actors = (asked) => {
        const wanted = (asked.get('search') || '').toLowerCase();
        const bucket = asked.get('bucket');
        const found = buckets.filter((it) => `${it.topic} ${it.difficulty}`.toLowerCase().includes(wanted) && (!bucket || bucket === `${it.difficulty}:${it.topic}`));
        if (asked.get('order') === 'key') found.sort((a, b) => a.topic.localeCompare(b.topic));
        const [offset, limit] = ['offset', 'limit'].map((name) => Number(asked.get(name) || 0));
        const queue = Array.from({ length: Math.min(9, found[0]?.queue_length || 0) }, (_, index) => ({
            ticket_id: id(15 + index), user_id: `user-${31 * index + 7}`, waited_ms: 55300 - 2100 * index, waits_until: '2026-11-30T16:01:04Z', set_aside: index === 1 ? 'proposal' : null,
        }));
        return { ...state, buckets_found: found.length, offset, limit, buckets: found.slice(offset, offset + limit), ...(bucket ? { queue } : {}) };
    };
    const answer = (body, status = 200) => new Response(typeof body === 'string' ? body : JSON.stringify(body), { status });
    const real = window.fetch;
    window.fetch = async (path, ...rest) => {
        const url = new URL(path, location.href);
        if (url.pathname === '/metrics') { scrapes += 1; return answer(metrics()); }
        if (url.pathname === '/debug/actors') return answer(actors(url.searchParams));
        if (url.pathname === `/debug/tickets/${ticket.id}`) return answer(ticket);
        if (url.pathname.startsWith('/debug/tickets/')) return answer({ detail: 'Ticket not found' }, 404);
        return real(path, ...rest);
    };
})();
