// A broker of Node.js over WebSocket: prints its port. Without the argument `open` it asks for a header field.
const { createServer } = require('http');
const { createWebSocketStream, WebSocketServer } = require('ws');
const aedes = require('aedes')();

const server = createServer();
const sockets = new WebSocketServer({
  server,
  path: '/mqtt',
  handleProtocols: (protocols) => (protocols.has('mqtt') ? 'mqtt' : false),
  verifyClient: ({ req }) =>
    process.argv[2] === 'open' || req.headers['x-site'] === 'residence',
});
sockets.on('connection', (socket, request) => {
  aedes.handle(createWebSocketStream(socket), request);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
