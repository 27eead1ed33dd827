import MIL
import Passes
import Testing

/// Each pass on a small program, before and after, as text.
@Suite struct PassesTests {
    /// Applies a pass to the function of a text and compares the result with the function of another text.
    private func check(
        _ before: String, _ after: String, sourceLocation: SourceLocation = #_sourceLocation,
        _ pass: (inout Function) throws -> Void
    ) throws {
        var function = try Function(text: before)
        try pass(&function)
        #expect(function.text == (try Function(text: after).text), sourceLocation: sourceLocation)
    }

    /// Operations on constants that are easy to compute by hand.
    private func evaluate(_ call: Call) throws -> [Tensor] {
        guard call.op.name == "add" else { throw Failure(.unsupported, "This evaluates sums alone.") }
        let (x, y) = (try call.known("x"), try call.known("y"))
        let sums = (0..<x.count).map { x.double(at: $0) + y.double(at: $0) }
        return [Tensor(sums, dtype: x.dtype, shape: x.shape)]
    }

    // MARK: removeDead

    @Test func operationsThatAreNotReadGo() throws {
        try check(
            """
            func main<ios18>(tensor<fp32, [2]> x) {
                a = relu(x = x);
                b = sigmoid(x = a);
                c = tanh(x = a);
            } -> (c);
            """,
            """
            func main<ios18>(tensor<fp32, [2]> x) {
                a = relu(x = x);
                c = tanh(x = a);
            } -> (c);
            """
        ) { $0.removeDead() }
    }

    @Test func operationsThatChangeAStateStay() throws {
        let text = """
            func main<ios18>(state<tensor<fp32, [2]>> s, tensor<fp32, [2]> x) {
                y = relu(x = x);
                write_state(input = s, data = y);
            } -> (x);
            """
        try check(text, text) { $0.removeDead() }
    }

    // MARK: foldConstants

    @Test func sumsOfConstantsFold() throws {
        try check(
            """
            func main<ios18>(tensor<fp32, [2]> x) {
                a = const()[val = tensor<fp32, [2]>([1, 2])];
                b = const()[val = tensor<fp32, [2]>([10, 20])];
                c = add(x = a, y = b);
                y = mul(x = x, y = c);
            } -> (y);
            """,
            """
            func main<ios18>(tensor<fp32, [2]> x) {
                c = const()[val = tensor<fp32, [2]>([11, 22])];
                y = mul(x = x, y = c);
            } -> (y);
            """
        ) { try $0.foldConstants(evaluate: evaluate) }
    }

    @Test func aShapeFoldsIfItIsFixed() throws {
        try check(
            """
            func main<ios18>(tensor<fp32, [2, 3]> x, tensor<fp32, [?]> z) {
                tensor<int32, [2]> a = shape(x = x);
                tensor<int32, [1]> b = shape(x = z);
            } -> (a, b);
            """,
            """
            func main<ios18>(tensor<fp32, [2, 3]> x, tensor<fp32, [?]> z) {
                a = const()[val = tensor<int32, [2]>([2, 3])];
                tensor<int32, [1]> b = shape(x = z);
            } -> (a, b);
            """
        ) { try $0.foldConstants(evaluate: evaluate) }
    }

    @Test func whatCannotBeEvaluatedStays() throws {
        let text = """
            func main<ios18>(tensor<fp32, [2]> x) {
                a = const()[val = tensor<fp32, [2]>([1, 2])];
                b = exp(x = a);
                y = mul(x = x, y = b);
            } -> (y);
            """
        try check(text, text) { try $0.foldConstants(evaluate: evaluate) }
    }

    // MARK: expand

    @Test func softmaxIsWrittenOut() throws {
        try check(
            """
            func main<ios18>(tensor<fp32, [2, 3]> x) {
                y = softmax(x = x, axis = -1);
            } -> (y);
            """,
            """
            func main<ios18>(tensor<fp32, [2, 3]> x) {
                y_axes = const()[val = tensor<int32, [1]>([1])];
                y_keep = const()[val = bool(true)];
                y_max = reduce_max(x = x, axes = y_axes, keep_dims = y_keep);
                y_sub = sub(x = x, y = y_max);
                y_exp = exp(x = y_sub);
                y_sum = reduce_sum(x = y_exp, axes = y_axes, keep_dims = y_keep);
                y = real_div(x = y_exp, y = y_sum);
            } -> (y);
            """
        ) { try $0.expand { operation, _ in operation.op == "softmax" } }
    }

    @Test func opsThatAreNotPickedStay() throws {
        let text = """
            func main<ios18>(tensor<fp32, [2, 3]> x) {
                y = softmax(x = x, axis = -1);
            } -> (y);
            """
        try check(text, text) { try $0.expand { _, _ in false } }
    }

    // MARK: withoutStates

    @Test func aStateBecomesAnInputAndAnOutput() throws {
        try check(
            """
            func main<ios18>(state<tensor<fp32, [2]>> s, tensor<fp32, [2]> x) {
                before = read_state(input = s);
                y = add(x = before, y = x);
                write_state(input = s, data = y);
            } -> (y);
            """,
            """
            func main<ios18>(tensor<fp32, [2]> s, tensor<fp32, [2]> x) {
                y = add(x = s, y = x);
                s_after = identity(x = y);
            } -> (y, s_after);
            """
        ) { $0 = try $0.withoutStates() }
    }

    @Test func aStateIsReadAsItWasLastWritten() throws {
        try check(
            """
            func main<ios18>(state<tensor<fp32, [2]>> s, tensor<fp32, [2]> x) {
                a = read_state(input = s);
                write_state(input = s, data = x);
                b = read_state(input = s);
                y = sub(x = a, y = b);
            } -> (y);
            """,
            """
            func main<ios18>(tensor<fp32, [2]> s, tensor<fp32, [2]> x) {
                y = sub(x = s, y = x);
                s_after = identity(x = x);
            } -> (y, s_after);
            """
        ) { $0 = try $0.withoutStates() }
    }

    // MARK: withWideIntegers

    @Test func castsTo16BitsThatOnlyMoveIntegersAreWidened() throws {
        try check(
            """
            func main<ios18>(tensor<int32, [4, 1]> x) {
                a = cast(x = x, dtype = "int16");
                b = squeeze(x = a, axes = [1]);
                y = cast(x = b, dtype = "int32");
            } -> (y);
            """,
            """
            func main<ios18>(tensor<int32, [4, 1]> x) {
                a = cast(x = x, dtype = "int32");
                b = squeeze(x = a, axes = [1]);
                y = cast(x = b, dtype = "int32");
            } -> (y);
            """
        ) { $0 = $0.withWideIntegers() }
    }

    @Test func castsFromFloatsStayNarrow() throws {
        let text = """
            func main<ios18>(tensor<fp32, [4]> x) {
                a = cast(x = x, dtype = "int16");
                y = cast(x = a, dtype = "int32");
            } -> (y);
            """
        try check(text, text) { $0 = $0.withWideIntegers() }
    }

    // MARK: specialize

    @Test func shapesReachReshape() throws {
        try check(
            """
            func main<ios18>(tensor<fp32, [?, 3]> x) {
                tensor<int32, [2]> s = shape(x = x);
                tensor<fp32, [?, 3]> y = reshape(x = x, shape = s);
            } -> (y);
            """,
            """
            func main<ios18>(tensor<fp32, [5, 3]> x) {
                s = const()[val = tensor<int32, [2]>([5, 3])];
                y = reshape(x = x, shape = s);
            } -> (y);
            """
        ) { $0 = try specialize($0, inputs: [TensorType(.float32, [5, 3])]) }
    }

    @Test func aWrongNumberOfInputsIsRefused() throws {
        let function = try Function(
            text: "func main<ios18>(tensor<fp32, [?]> x) { tensor<fp32, [?]> y = relu(x = x); } -> (y);")
        #expect(throws: Failure(.invalidArgument, "The function 'main' has 1 inputs, not 0.")) {
            try specialize(function, inputs: [])
        }
    }
}
