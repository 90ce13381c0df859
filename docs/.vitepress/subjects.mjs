// A plugin of typedoc. The modules have the names by which they are imported. A member of a class that is documented at an
// interface has a category by that interface. The members of an interface that has one subject have none of their own.

import { Comment, CommentTag, Converter, ReflectionKind } from 'typedoc'

/** @type {Record<string, string>} */
const CATEGORIES = {
  LockProvider: 'Locks',
  CircuitBreakerStateProvider: 'Circuit breakers',
  CacheProvider: 'Cache',
  CacheOperations: 'Cache',
  CheckpointProvider: 'Checkpoints',
  IdempotencyProvider: 'Idempotency',
  AdapterLifeCycle: 'Life cycle',
}

/** @param {import('typedoc').Application} app */
export function subjectsOfMembers(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const module of project.children ?? []) {
      module.name = module.name === 'index' ? 'goscope-postgres' : `goscope-postgres/${module.name}`
    }
  })
  // After the comments of interfaces have been copied to the classes, and before members are grouped.
  app.converter.on(
    Converter.EVENT_RESOLVE_END,
    ({ project }) => {
      const classes = /** @type {import('typedoc').DeclarationReflection[]} */ (
        project.getReflectionsByKind(ReflectionKind.Class)
      )
      for (const member of classes.flatMap(({ children = [] }) => children)) addCategory(member)
      for (const { children = [] } of project.getReflectionsByKind(ReflectionKind.Interface)) {
        for (const { comment, signatures = [] } of children) {
          for (const each of [comment, ...signatures.map((signature) => signature.comment)]) {
            each?.removeTags('@category')
          }
        }
      }
    },
    1000,
  )
}

/** @param {import('typedoc').DeclarationReflection} member */
function addCategory(member) {
  const { signatures: [signature] = [] } = member
  const documented = member.implementationOf ?? signature?.implementationOf
  const isConstructor = member.kindOf(ReflectionKind.Constructor)
  const category = isConstructor ? 'Life cycle' : CATEGORIES[documented?.name.split('.')[0] ?? '']
  const commented = signature ?? member
  if (!category || commented.comment?.getTag('@category')) return
  commented.comment ??= new Comment()
  commented.comment.blockTags.push(new CommentTag('@category', [{ kind: 'text', text: category }]))
}
