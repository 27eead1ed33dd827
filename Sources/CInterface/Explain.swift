// What the rule books say, and where each operation of a model runs.

import CHeader
import Martlet
import ModelFiles

@_cdecl("mlt_rules")
public func mlt_rules(_ out: UnsafeMutablePointer<OpaquePointer?>?) -> mlt_status {
    status { try give(out) { TextObject(rulesAnswer().description) } }
}

/// Called before each run of an explanation; an answer other than 0 ends the runs.
public typealias ExplainProgress = @convention(c) (UnsafeMutableRawPointer?, Int32, Int32) -> Int32

@_cdecl("mlt_explain")
public func mlt_explain(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ model: OpaquePointer?, _ device: UnsafePointer<CChar>?,
    _ function: UnsafePointer<CChar>?, _ runs: Int32, _ progress: ExplainProgress?, _ context: UnsafeMutableRawPointer?
) -> mlt_status {
    status {
        try give(out) {
            let device = try device.map { try text($0, "name of the device") }
            let function = try function.map { try text($0, "name of the function") }
            return try handles.use(model, as: ModelObject.self) {
                let found = try $0.model.explain(device: device, function: function, runs: Int(runs)) { done in
                    progress?(context, Int32(clamping: done), runs) ?? 0 == 0
                }
                return TextObject(answer(of: found, path: $0.path).description)
            }
        }
    }
}

private func rulesAnswer() -> JSON {
    .array(RuleBook.all.flatMap { book in book.rules.map { answer(of: $0, of: book.processor) } })
}

private func answer(of rule: Rule, of processor: String) -> JSON {
    [
        "id": .string(rule.id), "processor": .string(processor), "severity": .string(rule.severity.rawValue),
        "words": .string(rule.words), "source": .string(rule.source.title), "url": .string(rule.source.url),
        "confidence": .string(rule.source.confidence.rawValue),
    ]
}

private func answer(of found: ModelExplanation, path: String?) -> JSON {
    let whole = max(found.work, 1)
    let groups = found.groups
    return [
        "path": .text(path), "function": .string(found.function), "device": .string(found.device),
        "reason": .string(found.reason), "runs": .integer(found.runs),
        "nanoseconds": found.nanoseconds.map { .integer(Int(clamping: $0)) } ?? .null, "work": .number(found.work),
        "operations": .array(found.operations.map { answer(of: $0, whole) }),
        "groups": .array(groups.map { answer(of: $0, found) }),
        "rules": .array(groups.map { answer(of: $0.rule, of: $0.processor) }),
        "segments": .array(
            found.segments.map {
                [
                    "processor": .string($0.processor), "operations": .integer($0.operations),
                    "share": .number($0.work / whole),
                ]
            }),
        "shares": .object(
            (RuleBook.all.map(\.processor) + ["CPU"]).map { .init($0, .number(found.share(of: $0))) }),
    ]
}

private func answer(of operation: ModelExplanation.Explained, _ whole: Double) -> JSON {
    [
        "op": .string(operation.op), "output": .string(operation.output), "type": .string(operation.type),
        "work": .number(operation.work), "share": .number(operation.work / whole),
        "step": operation.step.map(JSON.integer) ?? .null, "processor": .string(operation.processor),
        "known": .text(operation.known?.rawValue), "kernel": .string(operation.kernel),
        "reason": .string(operation.reason),
        "nanoseconds": operation.nanoseconds.map { .integer(Int(clamping: $0)) } ?? .null,
        "expected": .string(operation.expected),
        "findings": .array(
            operation.findings.map {
                [
                    "rule": .string($0.rule.id), "severity": .string($0.rule.severity.rawValue),
                    "what": .string($0.breach.what), "rewrite": .string($0.breach.rewrite),
                ]
            }),
    ]
}

private func answer(of group: ModelExplanation.Group, _ found: ModelExplanation) -> JSON {
    [
        "rule": .string(group.rule.id), "processor": .string(group.processor),
        "severity": .string(group.rule.severity.rawValue), "operations": .integer(group.operations.count),
        "share": .number(group.share), "rewrite": .string(group.rewrite),
        "outputs": .array(group.operations.map { .string(found.operations[$0].output) }),
    ]
}
