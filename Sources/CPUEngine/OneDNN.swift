// oneDNN as this engine uses it: descriptors, primitives with weights packed once, and arguments bound for each frame.
#if ONEDNN
    import CKernels
    import COneDNN
    import MIL

    func check(_ status: dnnl_status_t, _ what: String) throws {
        guard status == dnnl_success else {
            throw Failure(
                status == dnnl_out_of_memory ? .outOfMemory : .bug,
                "oneDNN could not \(what) (status \(status.rawValue)).")
        }
    }

    /// The process's one CPU engine of oneDNN; it lives as long as the process.
    struct DNNLEngine: @unchecked Sendable {
        let handle: dnnl_engine_t

        static var version: String {
            guard let version = dnnl_version()?.pointee else { return "?" }
            return "\(version.major).\(version.minor).\(version.patch)"
        }

        static let shared: DNNLEngine? = {
            var handle: dnnl_engine_t?
            withUnsafePointer(to: mk_tbb_on_pool) { mk_tbb_connect($0) }
            return dnnl_engine_create(&handle, dnnl_cpu, 0) == dnnl_success ? DNNLEngine(handle: handle!) : nil
        }()
    }

    /// Shape, element type and memory layout as oneDNN describes them.
    final class Descriptor: @unchecked Sendable {
        let handle: onednn_layout

        /// Elements at given strides, which must be positive and nested. For a view, see `Operand`.
        init(_ shape: [Int], strides: [Int], dtype: dnnl_data_type_t = dnnl_f32) throws {
            var handle: onednn_layout?
            try check(
                onednn_layout_strided(
                    &handle, Int32(shape.count), shape.map(Int64.init), dtype, strides.map(Int64.init)),
                "describe a layout")
            self.handle = handle!
        }

        /// A layout of oneDNN's own choice.
        init(any shape: [Int]) throws {
            var handle: onednn_layout?
            try check(
                onednn_layout_any(&handle, Int32(shape.count), shape.map(Int64.init), dnnl_f32), "describe a layout")
            self.handle = handle!
        }

        /// The layout a primitive has chosen.
        fileprivate init(_ which: dnnl_query_t, of description: dnnl_primitive_desc_t) throws {
            var handle: onednn_layout?
            try check(onednn_layout_query(&handle, description, which), "copy a layout")
            self.handle = handle!
        }

        deinit { onednn_layout_destroy(handle) }

        var byteCount: Int { dnnl_memory_desc_get_size(handle) }

        /// The handle, alive while `body` runs: a temporary would be gone before oneDNN reads it.
        func use<Result>(_ body: (onednn_layout) throws -> Result) rethrows -> Result {
            try withExtendedLifetime(self) { try body(handle) }
        }
    }

    /// A compiled operation of oneDNN.
    final class Primitive: @unchecked Sendable {
        let handle: dnnl_primitive_t
        private let description: dnnl_primitive_desc_t
        /// Whether its code keeps other things in the stack pointer: oneDNN's product kernels for AVX2 do, so that the frame
        /// of a signal handler would overwrite the heap.
        fileprivate let borrowsStackPointer: Bool

        /// Takes over a primitive descriptor.
        init(_ description: dnnl_primitive_desc_t) throws {
            self.description = description
            var handle: dnnl_primitive_t?
            try check(dnnl_primitive_create(&handle, description), "create a primitive")
            self.handle = handle!
            borrowsStackPointer = Primitive.implementation(of: description).hasPrefix("gemm:jit")
        }

        deinit {
            dnnl_primitive_destroy(handle)
            dnnl_primitive_desc_destroy(description)
        }

        func layout(_ which: dnnl_query_t) throws -> Descriptor {
            try Descriptor(which, of: description)
        }

        var scratchBytes: Int {
            dnnl_primitive_desc_query_md(description, dnnl_query_scratchpad_md, 0).map { dnnl_memory_desc_get_size($0) }
                ?? 0
        }

        /// oneDNN's name of the implementation, such as `brgconv:avx512_core`.
        var implementation: String { Primitive.implementation(of: description) }

        private static func implementation(of description: dnnl_primitive_desc_t) -> String {
            var name: UnsafePointer<CChar>?
            guard dnnl_primitive_desc_query(description, dnnl_query_impl_info_str, 0, &name) == dnnl_success, let name
            else {
                return "?"
            }
            return String(cString: name)
        }

        /// Whether these are the plain loops oneDNN has for what it does not know better.
        private var isReference: Bool {
            #if !arch(x86_64)
                // So oneDNN names its products everywhere, but only x86-64 has the generated code for them.
                if implementation.hasPrefix("gemm:jit") { return true }
            #endif
            return implementation.split(separator: ":").contains { $0.hasPrefix("ref") }
        }

        /// What `describe` describes, or nil where the engine's own kernels do better: where oneDNN has nothing for it
        /// or only its reference implementation.
        static func unlessReference(
            _ what: String, _ describe: (inout dnnl_primitive_desc_t?) -> dnnl_status_t
        ) throws -> Primitive? {
            var description: dnnl_primitive_desc_t?
            let status = describe(&description)
            if status == dnnl_unimplemented { return nil }
            try check(status, what)
            let primitive = try Primitive(description!)
            return primitive.isReference ? nil : primitive
        }
    }

    /// What follows a dense kernel before its result is stored, as oneDNN's post-operations; the residual is an operand.
    func attributes(for epilogue: Epilogue, residual: Operand? = nil) throws -> dnnl_primitive_attr_t {
        var attributes: dnnl_primitive_attr_t?
        try check(dnnl_primitive_attr_create(&attributes), "create attributes")
        try check(dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user), "set attributes")
        var post: dnnl_post_ops_t?
        try check(dnnl_post_ops_create(&post), "create post-operations")
        defer { dnnl_post_ops_destroy(post) }
        for stage in epilogue.stages {
            switch stage {
            case .activation(let activation):
                let (kind, alpha, beta): (dnnl_alg_kind_t, Float, Float) =
                    switch activation {
                    case .relu: (dnnl_eltwise_relu, 0, 0)
                    case .clip(let low, let high): (dnnl_eltwise_clip, low, high)
                    case .geluExact: (dnnl_eltwise_gelu_erf, 0, 0)
                    case .geluTanh: (dnnl_eltwise_gelu_tanh, 0, 0)
                    case .sigmoid: (dnnl_eltwise_logistic, 0, 0)
                    case .silu: (dnnl_eltwise_swish, 1, 0)
                    case .tanh: (dnnl_eltwise_tanh, 0, 0)
                    }
                try check(onednn_append_eltwise(post, kind, alpha, beta), "append an activation")
            case .residual:
                guard let residual else { throw Failure(.bug, "A residual was not described.") }
                try check(dnnl_post_ops_append_binary(post, dnnl_binary_add, residual.handle), "append an addition")
            }
        }
        try check(dnnl_primitive_attr_set_post_ops(attributes, post), "set post-operations")
        return attributes!
    }

    /// One call of a primitive: which memory goes to which argument.
    struct PrimitiveCall: Sendable {
        enum Source: Sendable {
            case view(View)
            case packed(Storage)
            case tensor(Tensor)
            case scratch
        }
        struct Argument: Sendable {
            let index: Int32
            let layout: Descriptor
            let source: Source
        }
        let primitive: Primitive
        let arguments: [Argument]
    }

    /// Memory in the layout a primitive wants, filled once from a constant.
    func packed(_ source: UnsafeMutableRawPointer, _ from: Descriptor, to target: Descriptor) throws -> Storage {
        guard let engine = DNNLEngine.shared?.handle else { throw Failure(.bug, "oneDNN has no CPU engine here.") }
        let storage = try Storage(allocating: target.byteCount)
        var description: dnnl_primitive_desc_t?
        try check(
            dnnl_reorder_primitive_desc_create(&description, from.handle, engine, target.handle, engine, nil),
            "prepare a packing")
        let primitive = try Primitive(description!)
        let call = PrimitiveCall(
            primitive: primitive,
            arguments: [
                .init(
                    index: DNNL_ARG_FROM, layout: from,
                    source: .packed(Storage(wrapping: source, byteCount: from.byteCount) {})),
                .init(index: DNNL_ARG_TO, layout: target, source: .packed(storage)),
            ])
        try PrimitiveArguments([call]).run(0)
        return storage
    }

    /// The argument lists of all primitive calls of one frame, made once so that a run allocates nothing.
    final class PrimitiveArguments {
        private var stream: dnnl_stream_t?
        private let calls: [PrimitiveCall]
        private let arguments: [UnsafeMutableBufferPointer<dnnl_exec_arg_t>]

        init(_ calls: [PrimitiveCall]) throws {
            self.calls = calls
            guard !calls.isEmpty else {
                arguments = []
                return
            }
            guard let engine = DNNLEngine.shared?.handle else { throw Failure(.bug, "oneDNN has no CPU engine here.") }
            try check(
                dnnl_stream_create(&stream, engine, UInt32(dnnl_stream_default_flags.rawValue)), "create a stream")
            arguments = try calls.map { call in
                let list = UnsafeMutableBufferPointer<dnnl_exec_arg_t>.allocate(capacity: call.arguments.count)
                for (index, argument) in call.arguments.enumerated() {
                    var memory: dnnl_memory_t?
                    try check(dnnl_memory_create(&memory, argument.layout.handle, engine, nil), "create a memory")
                    list[index] = dnnl_exec_arg_t(arg: argument.index, memory: memory)
                    switch argument.source {
                    case .packed(let storage):
                        try check(dnnl_memory_set_data_handle(memory, storage.pointer), "bind a memory")
                    case .tensor(let tensor):
                        try check(dnnl_memory_set_data_handle(memory, tensor.pointer), "bind a memory")
                    case .view, .scratch: break
                    }
                }
                return list
            }
        }

        deinit {
            for list in arguments {
                for argument in list { dnnl_memory_destroy(argument.memory) }
                list.deallocate()
            }
            if let stream { dnnl_stream_destroy(stream) }
        }

        /// Runs a call with the frame's buffers.
        func run(_ index: Int, in frame: Frame) throws {
            for (position, argument) in calls[index].arguments.enumerated() {
                switch argument.source {
                case .view(let view): dnnl_memory_set_data_handle(arguments[index][position].memory, frame[view])
                case .scratch: dnnl_memory_set_data_handle(arguments[index][position].memory, frame.scratch)
                case .packed, .tensor: break
                }
            }
            try run(index)
        }

        fileprivate func run(_ index: Int) throws {
            guard calls[index].primitive.borrowsStackPointer else { return try execute(index) }
            var before = mk_signals()
            mk_hold_signals(&before)
            defer { mk_release_signals(&before) }
            try execute(index)
        }

        private func execute(_ index: Int) throws {
            let list = arguments[index]
            try check(
                dnnl_primitive_execute(calls[index].primitive.handle, stream, Int32(list.count), list.baseAddress),
                "run a primitive")
            dnnl_stream_wait(stream)
        }
    }
#endif
