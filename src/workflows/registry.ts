/** The workflows that the control worker serves: every function exported here is one, under its own name. */
export { continuousVerification } from './continuous-verification.ts'
export { pipeline } from './pipeline.ts'
export { repair } from './repair.ts'
export { verification } from './verification.ts'
