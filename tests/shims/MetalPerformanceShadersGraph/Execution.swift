import CPUEngine
import MIL
import Runtime
import ShimControl

extension MPSGraph {
    public func compile(
        with device: MPSGraphDevice?, feeds: [MPSGraphTensor: MPSGraphShapedType], targetTensors: [MPSGraphTensor],
        targetOperations: [MPSGraphOperation]?, compilationDescriptor: MPSGraphCompilationDescriptor?
    ) -> MPSGraphExecutable {
        var function = record
        // The executable has an order of its own, so that code which relies on another one fails.
        var order = feeds.keys.sorted { $0.id < $1.id }
        var targets = targetTensors
        if ShimControl.isHostile {
            order.reverse()
            targets.reverse()
        }
        for (tensor, type) in feeds {
            guard type.shape == tensor.shape, type.dataType == tensor.dataType else {
                graphAbort("a feed of \(type.shape ?? []) for a placeholder of \(tensor.shape ?? [])")
            }
        }
        function.block.inputs = order.map { ValueID($0.id) }
        function.block.outputs = targets.map { ValueID($0.id) }
        if let missing = unfed(function) { graphAbort("the placeholder \(missing) is not fed") }
        if ShimControl.strikes("graph_compile_slow") { Thread.sleep(forTimeInterval: 0.2) }
        ShimControl.count("graph_compiled")
        do {
            let compiled = try CPUDevice.declared.compile(function)
            return MPSGraphExecutable(compiled, feeds: order, targets: targets)
        } catch { graphAbort("\(error)") }
    }

    /// A placeholder that the targets need and that is not fed.
    private func unfed(_ function: Function) -> String? {
        var needed = Set(function.outputs)
        for operation in function.operations.reversed() where !needed.isDisjoint(with: operation.outputs) {
            needed.formUnion(operation.inputs)
        }
        return record.inputs.first { needed.contains($0) && !function.inputs.contains($0) }.map { record[$0].name }
    }
}

/// A compiled graph.
public final class MPSGraphExecutable: MPSGraphObject, @unchecked Sendable {
    public let feedTensors: [MPSGraphTensor]?
    public let targetTensors: [MPSGraphTensor]?
    private let compiled: any Executable

    init(_ compiled: any Executable, feeds: [MPSGraphTensor], targets: [MPSGraphTensor]) {
        self.compiled = compiled
        feedTensors = feeds
        targetTensors = targets
    }

    public func encode(
        to commandBuffer: MPSCommandBuffer, inputs: [MPSGraphTensorData], results: [MPSGraphTensorData]?,
        executionDescriptor: MPSGraphExecutableExecutionDescriptor?
    ) -> [MPSGraphTensorData] {
        check(inputs, against: compiled.inputs, "input")
        let results = results ?? compiled.outputs.map { room($0.type, commandBuffer.device) }
        check(results, against: compiled.outputs, "result")
        commandBuffer.append { [compiled] in
            ShimControl.count("graph_run")
            let tensors = zip(inputs, compiled.inputs).map { data, port in
                Tensor(
                    port.type,
                    storage: Storage(wrapping: data.buffer.contents(), byteCount: port.type.byteCount) {})
            }
            for (result, data) in zip(try compiled.run(tensors), results) {
                data.buffer.contents().copyMemory(from: result.pointer, byteCount: result.type.byteCount)
            }
            withExtendedLifetime(inputs) {}
        }
        // A large graph may be sent off in parts.
        if ShimControl.isHostile { commandBuffer.commitAndContinue() }
        return results
    }

    private func room(_ type: TensorType, _ device: any MTLDevice) -> MPSGraphTensorData {
        guard let buffer = device.makeBuffer(length: type.byteCount), let dataType = MPSDataType(type.dtype) else {
            graphAbort("there is no memory for a result of \(type)")
        }
        return MPSGraphTensorData(buffer, shape: type.shape.map(NSNumber.init(value:)), dataType: dataType)
    }

    private func check(_ data: [MPSGraphTensorData], against ports: [Runtime.Port], _ what: String) {
        guard data.count == ports.count else { graphAbort("\(data.count) \(what)s, where there are \(ports.count)") }
        for (data, port) in zip(data, ports)
        where data.shape.map(\.intValue) != port.type.shape || data.dataType.mil != port.type.dtype {
            graphAbort("an \(what) of \(data.shape) \(data.dataType), where a \(port.type) is wanted")
        }
    }
}
