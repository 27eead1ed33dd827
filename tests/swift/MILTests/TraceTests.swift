import Testing

@testable import MIL

@Suite struct TraceTests {
    private func traced() throws -> (trace: Trace, input: ValueID, sum: ValueID) {
        let trace = Trace()
        let (input, _) = try trace.input("x", TensorType(.float32, [2]))
        let sum = try trace.append { try $0.append("add", name: "sum", ["x": [input], "y": [input]]) }[0]
        #expect(sum.1 == TensorType(.float32, [2]))
        return (trace, input, sum.0)
    }

    @Test func becomesAFunction() throws {
        let (trace, _, sum) = try traced()
        let function = try trace.end([("twice", sum)])
        #expect(function.operations.map(\.op) == ["add"])
        #expect(function.outputs.map { function[$0].name } == ["twice"])
    }

    @Test func givesInputsAndRepeatedValuesAsCopies() throws {
        let (trace, input, sum) = try traced()
        let function = try trace.end([("same", input), ("a", sum), ("b", sum)])
        #expect(function.operations.map(\.op) == ["add", "identity", "identity"])
        #expect(Set(function.outputs).count == 3)
    }

    @Test func refusesNamesGivenTwiceAndCallsAfterItsEnd() throws {
        let (trace, _, sum) = try traced()
        #expect(throws: Failure.self) { try trace.input("x", TensorType(.float32, [1])) }
        #expect(throws: Failure.self) { try trace.end([]) }
        #expect(throws: Failure.self) { try trace.end([("x", sum)]) }
        _ = try trace.end([("y", sum)])
        #expect(throws: Failure.self) { try trace.input("z", TensorType(.float32, [1])) }
    }
}
