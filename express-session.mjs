import sessions from './express-session.js'

export const { SessionStore } = sessions
