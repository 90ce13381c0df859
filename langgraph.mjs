import * as langgraph from '@langchain/langgraph-checkpoint'
import saver from './lib/langgraph/saver.js'

export const PostgresCheckpointSaver = saver.saverOn(langgraph)
