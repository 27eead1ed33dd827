import MIL
import Martlet
import Runtime
import Testing

/// What Python cannot reach on this machine: plans of Core ML's, with a processor for each step.
@Suite struct ExplanationTests {
    /// y = exp(relu(x)).
    private func function() throws -> Function {
        var function = Function()
        let x = function.input("x", .tensor(TensorType(.float16, [4, 64])))
        let a = try function.append("relu", name: "a", ["x": [x]])
        function.block.outputs = try function.append("exp", name: "y", ["x": a])
        return function
    }

    private func planned(_ ops: [String], _ output: String, on processor: String) -> Plan.Step {
        var step = Plan.Step(
            ops: ops, output: output, type: TensorType(.float16, [4, 64]), kernel: "Core ML", reason: "preferred")
        step.processor = processor
        step.known = .planned
        return step
    }

    @Test func placesOfCoreMLStayPlanned() throws {
        let plan = Plan(
            device: "coreml:ane",
            steps: [planned(["relu"], "a", on: "Neural Engine"), planned(["exp"], "y", on: "CPU")], workspaceBytes: 0,
            packedBytes: 0)
        let found = try ModelExplanation(of: function(), plan: plan, times: [nil, 2000], runs: 1)
        #expect(found.operations.map(\.processor) == ["Neural Engine", "CPU"])
        // What was timed did run, but Core ML does not report where.
        #expect(found.operations.map(\.known) == [.planned, .planned])
        #expect(found.operations.map(\.nanoseconds) == [nil, 2000])
        #expect(found.device == "coreml:ane")
    }

    @Test func fusedOperationsShareAStep() throws {
        var step = planned(["relu", "exp"], "y", on: "")
        step.known = .chosen
        let plan = Plan(device: "cpu", steps: [step], workspaceBytes: 0, packedBytes: 0)
        let found = try ModelExplanation(of: function(), plan: plan, times: [500], runs: 1)
        #expect(found.operations.map(\.step) == [0, 0])
        #expect(found.operations.map(\.known) == [.ran, .ran])
        #expect(found.operations.map(\.nanoseconds) == [nil, 500])
    }

    @Test func booksAloneNameTheReason() throws {
        let found = try ModelExplanation(of: function(), plan: nil, reason: "nothing takes it")
        #expect(found.device.isEmpty)
        #expect(found.reason == "nothing takes it")
        #expect(found.operations.allSatisfy { $0.known == nil && $0.expected == "Neural Engine" })
        #expect(found.segments == [.init(processor: "Neural Engine", operations: 2, work: 512)])
    }

    @Test func aModelExplainsItself() throws {
        let found = try Model(Program(functions: [function()])).explain(device: "cpu", runs: 2)
        #expect(found.operations.map(\.op) == ["relu", "exp"])
        #expect(found.operations.last?.known == .ran)
        #expect(throws: Failure.self) { try Model(Program(functions: [function()])).explain(runs: -1) }
    }
}
