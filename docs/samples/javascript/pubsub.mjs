// Subscribes a topic through one proxy, publishes through another, and prints what arrives.
// Needs nothing but Node.js 22 or newer; 20 needs --experimental-websocket. In a page it works the
// same, if the proxies' CORS_ORIGINS name the page's origin.

const here = process.env.PROXY ?? "http://localhost:8081";
const there = process.env.PROXY_2 ?? "http://localhost:8082";
const topic = "samples-javascript";

async function post(url, body) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  });
  const told = await answer.json();
  if (!answer.ok) throw new Error(`${url}: ${answer.status}: ${told.error}`);
  return told;
}

// Two of four nodes must have the message before it is given to us.
await post(`${here}/api/v1/subscribe`, { client_id: "javascript", topic, threshold: 0.5 });

const socket = new WebSocket(`${here.replace("http", "ws")}/api/v1/ws?client_id=javascript`);
const received = new Promise((resolve, reject) => {
  socket.onerror = () => reject(new Error(`no WebSocket at ${here}`));
  socket.onclose = (event) => reject(new Error(`closed: ${event.code} ${event.reason}`));
  socket.onmessage = (event) => {
    const delivery = JSON.parse(event.data);
    if (delivery.lost) {
      // We read too slowly.
      console.log("lost", delivery.lost.messages, "messages");
      return;
    }
    const payload = Uint8Array.from(atob(delivery.message), (char) => char.charCodeAt(0));
    resolve(`received ${new TextDecoder().decode(payload)} on ${delivery.topic}`);
  };
});

const body = { client_id: "sender", topic, message: `Hello from ${process.pid}` };
const answer = await post(`${there}/api/v1/publish`, body);
console.log(answer.status, answer.message_id);
console.log(await received);
socket.onclose = null;
socket.close();
