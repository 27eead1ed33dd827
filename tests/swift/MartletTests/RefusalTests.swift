import MIL
import Martlet
import Testing

/// What no kernel runs is named all at once, before anything is compiled.
@Suite struct RefusalTests {
    @Test func unknownOpsAreNamedTogether() throws {
        var function = Function()
        let type = ValueType.tensor(TensorType(.float32, [2]))
        var last = function.input("x", type)
        for (op, name) in [("rewind", "a"), ("unwind", "b"), ("rewind", "c")] {
            let next = function.add(Value(name: name, type: type))
            function.block.operations.append(Operation(op, [Argument("x", [last])], outputs: [next]))
            last = next
        }
        function.block.outputs = [last]
        let cpu = try device(named: "cpu")
        let failure = try #require(throws: Failure.self) { try cpu.compile(function) }
        #expect(failure.kind == .unsupported)
        #expect(
            failure.message
                == "The CPU engine has no kernels for these ops: 'rewind' (2 times, first 'a' of function 'main'), "
                + "'unwind' (1 times, first 'b' of function 'main').")
    }
}
