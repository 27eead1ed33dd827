import CHeader
import Martlet

/// What a model remembers between runs.
final class StateObject: Handled {
    static let kind = HandleKind.state

    let state: State

    init(_ state: State) { self.state = state }
}

@_cdecl("mlt_state_make")
public func mlt_state_make(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ executable: OpaquePointer?) -> mlt_status {
    status {
        try give(out) {
            try handles.use(executable, as: ExecutableObject.self) { StateObject(try $0.predictor.makeState()) }
        }
    }
}

@_cdecl("mlt_state_get")
public func mlt_state_get(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ state: OpaquePointer?, _ name: UnsafePointer<CChar>?
) -> mlt_status {
    status {
        let name = try text(name, "name of the state")
        try give(out) { try handles.use(state, as: StateObject.self) { TensorObject(try $0.state.value(of: name)) } }
    }
}

@_cdecl("mlt_state_set")
public func mlt_state_set(_ state: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ value: OpaquePointer?) -> mlt_status
{
    status {
        let name = try text(name, "name of the state")
        let value = try handles.use(value, as: TensorObject.self) { try $0.known }
        try handles.use(state, as: StateObject.self) { try $0.state.set(value, for: name) }
    }
}
