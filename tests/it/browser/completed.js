// What the server does not report yet.
(() => {
    const real = window.fetch;
    window.fetch = async (path, ...rest) => {
        const reply = await real(path, ...rest);
        if (!String(path).startsWith('/debug/actors') || !reply.ok) return reply;
        const state = await reply.json();
        if (state.server) return Response.json(state);
        return Response.json({ server: { version: '0', environment: 'dev', started_at: '2026-11-30T16:00:00Z', recovery_seconds: 0.1 }, roster: { mailbox: 0, mailbox_max: 1, users: 0 },
            buckets_total: state.buckets.length, buckets_found: state.buckets.length, offset: 0, limit: 100, store: { backend: 'sqlite', urgent: 0, patient: 0, stuck: false }, outbox: null, mirror: { behind: 0, differences: 0 },
            backends: { postgresql: 'not_needed', redis: 'not_needed', rabbitmq: 'not_needed' }, ...state, sessions: { ...state.sessions, total: 0, items: [] }, sockets: { ...state.sockets, per_worker: [0] },
            buckets: state.buckets.map((it) => ({ in_flight: 0, ...it })) });
    };
})();
