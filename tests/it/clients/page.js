// Plays two people with the client that stands in docs/, and reports what they got.

import { Matchmaker } from "/matchmaker.js";

const server = new URLSearchParams(location.search).get("server");
const scenario = location.hash.slice(1);
const report = (result) => fetch(`/report?${encodeURIComponent(JSON.stringify(result))}`);

async function token(user_id, isStale) {
    if (scenario === "refused" && !isStale) return "no.valid.token";
    const answer = await fetch(`${server}/dev/token`, { method: "POST", body: JSON.stringify({ user_id }) });
    return (await answer.json()).token;
}

// Every socket that was opened, and how often the server's answers were waited for.
const sockets = [];
const waits = { 401: 0, 429: 0, 503: 0 };
let isNetworkUp = true;
const RealSocket = WebSocket;
window.WebSocket = class extends RealSocket {
    constructor(url) {
        super(isNetworkUp ? url : "ws://127.0.0.1:1/");
        sockets.push(this);
    }
};
const realFetch = fetch;
let isAway = scenario === "refused";
window.fetch = async (...call) => {
    let answer = await realFetch(...call);
    if (isAway && String(call[0]).endsWith("/confirm") && answer.ok) {
        // As if it had come from a server whose database is away; what it did is done.
        isAway = false;
        answer = new Response('{"detail":"away"}', { status: 503, headers: { "Retry-After": "1" } });
    }
    if (answer.status in waits) waits[answer.status] += 1;
    return answer;
};

async function opened(client) {
    while (client.socket?.readyState !== RealSocket.OPEN) await new Promise((done) => setTimeout(done, 10));
}

function person(name) {
    const events = [];
    const client = new Matchmaker(server, (isStale) => token(name, isStale), ({ type }) => events.push(type));
    client.listen();
    return { name, events, client };
}

async function play({ name, events, client }, found) {
    const match_id = await found;
    const session = await client.confirm(match_id);
    await client.leave(session.session_id);
    client.close();
    return { name, match_id, session, events };
}

async function cutSockets() {
    isNetworkUp = false;
    const closed = sockets.map((socket) => new Promise((done) => socket.addEventListener("close", done)));
    sockets.forEach((socket) => socket.close());
    await Promise.all(closed);
}

try {
    const [ada, bob] = [person("ada"), person("bob")];
    await Promise.all([opened(ada.client), opened(bob.client)]);
    const ask = ({ client }) => {
        // Two calls at once are one too many for the limit, however slow the machine is.
        if (scenario === "refused") client.decline("5f0c3a1e-7a4b-4a57-9d0e-2b7c1f6d8e90").catch(() => {});
        return client.findPartner("Easy", "Array");
    };
    const first = play(ada, ask(ada));
    // Nobody is paired before the second one asks, so all that follows is without sockets.
    if (scenario === "cut") await cutSockets();
    const people = await Promise.all([first, play(bob, ask(bob))]);
    await report({ people, sockets: sockets.length, waits });
} catch (fault) {
    await report({ fault: `${fault}\n${fault.stack}` });
}
