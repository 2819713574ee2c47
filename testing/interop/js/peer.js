// A GossipSub peer by js-libp2p for the interoperability tests. It reads commands from its standard
// input, a line each ("dial ADDRESS", "publish SEED BYTES"), and prints what happens, a line each.
// It ends with its input.
import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

const topic = process.argv[2]
const hash = (data) => createHash('sha256').update(data).digest('hex')
const say = (...words) => console.log(words.join(' '))

const node = await createLibp2p({
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    identify: identify(),
    pubsub: gossipsub({
      globalSignaturePolicy: 'StrictSign',
      msgIdFn: (message) => new TextEncoder().encode(hash(message.data))
    })
  }
})
const pubsub = node.services.pubsub
pubsub.addEventListener('gossipsub:graft', ({ detail }) => say('graft', detail.peerId))
pubsub.addEventListener('message', ({ detail }) => say('message', hash(detail.data)))
pubsub.subscribe(topic)
say('listening', node.getMultiaddrs()[0])

for await (const line of createInterface({ input: process.stdin })) {
  const [command, first, second] = line.split(' ')
  if (command === 'dial') {
    await node.dial(multiaddr(first))
  } else if (command === 'publish') {
    const data = new Uint8Array(Number(second)).fill(Number(first))
    await pubsub.publish(topic, data)
    say('published', hash(data))
  }
}
process.exit(0)
